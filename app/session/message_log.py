"""Keeps the messages of a chat: in the store as long as it works, in memory when it does not.

Knows no rule of a turn. A method that raises StoreError says so; the failure of any other is reported once, by
`take_failure`.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from app.config.settings import TraceSettings
from app.domain.conversation import (
    Attachments,
    ChatSettings,
    Conversation,
    ConversationKind,
    GenerationRecord,
    Message,
    ReplyState,
    Role,
    UserMessage,
)
from app.domain.errors import GoneError, StoreError
from app.domain.generation import Thinking
from app.domain.sampling import SamplingParams
from app.domain.trace import ReplyTrace
from app.session.events import StoreFailed
from app.session.tree import oldest_first, title_of
from app.store.store import Store
from app.store.traces import FORMAT, pack, unpack

T = TypeVar("T")


class _Remembered(Struct):
    message: Message
    sampling: SamplingParams | None = None
    trace: bytes | None = None
    """Packed: as values, the traces of a long chat would take hundreds of megabytes."""


class MessageLog:
    """Messages of one chat. A message that is not stored yet has a negative id; `catch_up` stores it."""

    def __init__(self, store: Store | None, traces: TraceSettings) -> None:
        self._store = store
        self._traces = traces
        self._broken = False
        self._failure: StoreFailed | None = None
        self._new_ids = itertools.count(-1, -1)
        self._conversations: dict[int, Conversation] = {}
        self._memory: dict[int, _Remembered] = {}
        """What no store holds: everything without one, what it missed since a failure with one."""
        self._message_ids: dict[int, int] = {}
        """From an id that a message had to the one that it has now."""
        self._conversation_ids: dict[int, int] = {}
        """The same for conversations: the numbers of the two overlap."""

    @property
    def saving(self) -> bool:
        """Whether what is kept now goes to the store."""
        return self._working is not None

    @property
    def _working(self) -> Store | None:
        return None if self._broken else self._store

    @property
    def unsaved(self) -> list[Message]:
        """What the store has missed, oldest first; empty without a store."""
        return [each.message for each in self._memory.values()] if self._store else []

    def take_failure(self) -> StoreFailed | None:
        """The failure that was not reported yet."""
        failure, self._failure = self._failure, None
        return failure

    def fail(self, error: StoreError) -> None:
        """From now on everything is kept in memory, until `catch_up` succeeds."""
        if not self._broken:
            self._failure = StoreFailed(str(error), error.hint)
        self._broken = True

    async def attempt(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Returns what `work` on the store returns; None when that raises StoreError, which is noted by `fail`."""
        try:
            return await work
        except StoreError as error:
            self.fail(error)
            return None

    async def start(
        self, title: str, asked: UserMessage, kind: ConversationKind, settings: ChatSettings
    ) -> tuple[Conversation, Message]:
        """Keeps a new conversation with its first message, both or neither."""
        if (store := self._working) and (
            started := await self.attempt(store.start_conversation(title, asked, kind, settings))
        ):
            return started
        now_ms = _now_ms()
        conversation = Conversation(
            id=next(self._new_ids),
            title=title,
            tip_id=None,
            created_ms=now_ms,
            updated_ms=now_ms,
            n_messages=1,
            kind=kind,
            settings=settings,
        )
        self._conversations[conversation.id] = conversation
        message = self._remember(conversation.id, None, Role.USER, asked.text, ReplyState.DONE, asked.attachments)
        return replace(conversation, tip_id=message.id), message

    async def add(
        self,
        conversation_id: int,
        parent_id: int | None,
        role: Role,
        content: str,
        state: ReplyState,
        attachments: Attachments = (),
    ) -> Message:
        """Keeps a new message."""
        if store := self._working:
            conversation_id = self.current_conversation(conversation_id)
            parent_id = None if parent_id is None else self.current_id(parent_id)
            adding = store.add_message(conversation_id, parent_id, role, content, state, attachments)
            if added := await self.attempt(adding):
                return added
        return self._remember(conversation_id, parent_id, role, content, state, attachments)

    async def keep_settings(self, conversation_id: int, settings: ChatSettings) -> None:
        """Keeps what answers a conversation from now on."""
        if conversation_id in self._conversations:
            self._conversations[conversation_id] = replace(self._conversations[conversation_id], settings=settings)
        elif store := self._working:
            await self.attempt(store.keep_settings(conversation_id, settings))

    async def continue_as(self, conversation_id: int, kind: ConversationKind) -> None:
        """Notes who continues a stored conversation."""
        if conversation_id > 0 and (store := self._working):
            await self.attempt(store.continue_as(conversation_id, kind))

    async def is_answered(self, message: Message) -> bool:
        """Whether any message follows this one; so too where that cannot be read."""
        kept = await self.attempt(self.messages(self.current_conversation(message.conversation_id)))
        return kept is None or any(each.parent_id == self.current_id(message.id) for each in kept)

    async def withdraw(self, message: Message) -> None:
        """Forgets a message that nothing answers, and its conversation with the only one."""
        if self._memory.pop(message.id, None) is None and (store := self._working):
            await self.attempt(store.withdraw(self.current_id(message.id)))

    async def journal(self, message: Message, content: str, thinking: Thinking | None) -> None:
        """Keeps the text so far of a reply that is being written."""
        if message.id > 0 and (store := self._working):
            await self.attempt(store.journal_reply(message.id, content, thinking))

    async def finish(
        self,
        message: Message,
        content: str,
        state: ReplyState,
        record: GenerationRecord,
        sampling: SamplingParams,
        thinking: Thinking | None,
    ) -> Message:
        """Keeps the whole reply."""
        if message.id > 0 and (store := self._working):
            finishing = store.finish_reply(message.id, content, state, record, sampling, thinking)
            if finished := await self.attempt(finishing):
                return finished
        message = replace(message, content=content, state=state, generation=record, thinking=thinking)
        self._memory[message.id] = _Remembered(message, sampling)
        return message

    async def keep_trace(self, message: Message, trace: ReplyTrace) -> None:
        """Stores the trace of a finished reply if the settings say so; older traces make room for it."""
        if not self._traces.keep or not (trace.tokens or trace.prompt):
            return
        if message.id in self._memory:
            self._memory[message.id].trace = pack(trace)
        elif store := self._working:
            await self.attempt(self._save_trace(store, message.id, trace))

    async def trace(self, message_id: int) -> ReplyTrace | None:
        """The stored trace of a reply. Raises StoreError if it cannot be read."""
        if remembered := self._memory.get(message_id):
            return unpack(FORMAT, remembered.trace) if remembered.trace else None
        return await self._store.trace(self.current_id(message_id)) if self._store else None

    def current_id(self, old_id: int) -> int:
        """The id that a message has now: another one once it is stored."""
        return _follow(self._message_ids, old_id)

    def current_conversation(self, old_id: int) -> int:
        """The same for a conversation."""
        return _follow(self._conversation_ids, old_id)

    async def versions(self, shown: Sequence[Message]) -> dict[int, list[Message]]:
        """By the id of each message of a branch: all that answer what it answers, itself too; oldest first.

        Raises StoreError when they cannot be read.
        """
        if not shown:
            return {}
        conversation_id = self.current_conversation(shown[0].conversation_id)
        try:
            kept = await self.messages(conversation_id)
        except StoreError:
            if not self._broken:
                raise
            kept = self._remembered(conversation_id)  # the failure is known already
        as_shown = {self.current_id(message.id): message for message in shown}
        of_now = [self._of_now(message) for message in shown]
        by_parent: dict[int | None, list[Message]] = {}
        for each in oldest_first({each.id: each for each in (*of_now, *kept)}.values()):
            by_parent.setdefault(each.parent_id, []).append(as_shown.get(each.id, each))
        return {message.id: by_parent[now.parent_id] for message, now in zip(shown, of_now, strict=True)}

    async def messages(self, conversation_id: int) -> list[Message]:
        """All of a conversation, whatever their branch. Raises StoreError when they cannot be read."""
        stored = await self._store.messages(conversation_id) if self._store and conversation_id > 0 else []
        return list({each.id: each for each in (*stored, *self._remembered(conversation_id))}.values())

    async def show(self, conversation_id: int, message_id: int) -> None:
        """Keeps which message the branch that is shown ends in."""
        if conversation_id > 0 and message_id > 0 and (store := self._working):
            await self.attempt(store.set_tip(conversation_id, message_id))

    async def catch_up(self, conversation_id: int) -> int | None:
        """Tries to store what is only in memory; waits a moment at most for a store that is locked.

        Returns the id that the conversation has in the store now, to be read again; None when nothing has changed.
        """
        if not self._store or not self._broken:
            return None
        try:
            await self._store.check()
            for remembered in list(self._memory.values()):
                await self._save(self._store, remembered)
                del self._memory[remembered.message.id]
        except StoreError:
            return None
        self._broken, self._failure = False, None
        return self.current_conversation(conversation_id)

    def detach(self, conversation: Conversation, branch: Sequence[Message]) -> None:
        """Has a branch whose conversation was erased elsewhere stored again, as a conversation of its own."""
        conversation_id = next(self._new_ids)
        self._conversations[conversation_id] = replace(
            conversation, id=conversation_id, tip_id=None, deleted_ms=None, updated_ms=_now_ms()
        )
        for message in branch:
            old_id = self.current_id(message.id)
            remembered = self._memory.pop(message.id, None) or _Remembered(message)
            new_id = self._message_ids[old_id] = next(self._new_ids)
            state = ReplyState.INTERRUPTED if message.state is ReplyState.STREAMING else message.state
            now = self._of_now(message)
            remembered.message = replace(now, id=new_id, conversation_id=conversation_id, state=state)
            self._memory[new_id] = remembered
        self._conversation_ids[self.current_conversation(branch[0].conversation_id)] = conversation_id
        self._broken = True

    async def _save(self, store: Store, remembered: _Remembered) -> None:
        message = remembered.message
        message_id = self.current_id(message.id)
        state = ReplyState.STREAMING if message.generation else message.state
        if message_id < 0:
            message_id = await self._insert(store, message, state)
        if message.generation:
            last = message.content, message.state, message.generation, remembered.sampling, message.thinking
            try:
                await store.finish_reply(message_id, *last)
            except GoneError:
                # Erased, or ended by another instance, since it began: what came is kept beside it.
                message_id = await self._insert(store, message, state)
                await store.finish_reply(message_id, *last)
        if remembered.trace and (trace := unpack(FORMAT, remembered.trace)):
            await store.save_trace(message_id, trace)

    async def _save_trace(self, store: Store, message_id: int, trace: ReplyTrace) -> None:
        await store.save_trace(message_id, trace)
        await store.trim_traces(self._traces.max_bytes)

    async def _insert(self, store: Store, message: Message, state: ReplyState) -> int:
        conversation_id = self.current_conversation(message.conversation_id)
        if conversation_id < 0 or await store.look_up(conversation_id) is None:
            known = self._conversations.get(conversation_id)
            created = await store.create_conversation(
                known.title if known else title_of(message.content),
                known.kind if known else ConversationKind.CHAT,
                known.settings if known else None,
            )
            self._conversation_ids[conversation_id] = created.id
            conversation_id = created.id
        parent_id = None if message.parent_id is None else self.current_id(message.parent_id)
        try:
            added = await store.add_message(
                conversation_id, parent_id, message.role, message.content, state, message.attachments
            )
        except GoneError:
            added = await store.add_message(
                conversation_id, None, message.role, message.content, state, message.attachments
            )
        self._message_ids[self.current_id(message.id)] = added.id
        return added.id

    def _remembered(self, conversation_id: int) -> list[Message]:
        """What is only in memory of a conversation, under the ids of now."""
        return [
            self._of_now(each.message)
            for each in self._memory.values()
            if self.current_conversation(each.message.conversation_id) == conversation_id
        ]

    def _of_now(self, message: Message) -> Message:
        return replace(
            message,
            id=self.current_id(message.id),
            conversation_id=self.current_conversation(message.conversation_id),
            parent_id=None if message.parent_id is None else self.current_id(message.parent_id),
        )

    def _remember(
        self,
        conversation_id: int,
        parent_id: int | None,
        role: Role,
        content: str,
        state: ReplyState,
        attachments: Attachments,
    ) -> Message:
        message = Message(
            id=next(self._new_ids),
            conversation_id=conversation_id,
            parent_id=parent_id,
            role=role,
            content=content,
            created_ms=_now_ms(),
            state=state,
            attachments=attachments,
        )
        self._memory[message.id] = _Remembered(message)
        return message


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _follow(ids: Mapping[int, int], old_id: int) -> int:
    while old_id in ids:
        old_id = ids[old_id]
    return old_id
