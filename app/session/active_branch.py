"""Where a session is: its conversation, the branch that is shown, and the ways to another branch.

Knows no engine and no turn. Its branch is also changed in place, by the turn that runs.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import takewhile

from msgspec.structs import replace

from app.domain.conversation import ChatSettings, Conversation, ConversationKind, Message, ReplyState, Role, UserMessage
from app.domain.errors import GoneError, StoreError
from app.session.events import BranchChanged, Gone
from app.session.message_log import MessageLog
from app.session.tree import branch_through, sendable, title_of
from app.store.store import Store


class ActiveBranch:
    """The conversation and its branch. `conversation` is None until the first message; `branch` has the root first.

    Attributes:
        gone: what another program did to the conversation, as far as it is known.
    """

    def __init__(self, store: Store | None, log: MessageLog) -> None:
        self._store = store
        self._log = log
        self.conversation: Conversation | None = None
        self.branch: list[Message] = []
        self.gone: Gone | None = None

    def leave(self) -> None:
        """Shows none."""
        self.conversation, self.branch, self.gone = None, [], None

    async def open(self, conversation_id: int) -> bool:
        """Shows a stored conversation; False where it is the one that is shown, of which only the row is read again."""
        if not self._store:
            return False
        conversation = await self._store.conversation(conversation_id)
        if self.conversation and self.conversation.id == conversation_id:
            self.conversation = conversation
            return False
        self.conversation, self.branch = conversation, await self._store.branch(conversation_id)
        self.gone = None
        return True

    async def look(self) -> Gone | None:
        """Returns what another program did to the conversation; its branch is left alone. Raises StoreError."""
        shown = self.conversation
        if not self._store or shown is None or shown.id < 0:
            return None
        found = await self._store.look_up(shown.id)
        return Gone.ERASED if found is None else Gone.DELETED if found.deleted_ms is not None else None

    async def refresh(self, *, extend: bool) -> BranchChanged | None:
        """Takes up what other programs wrote to the conversation; None where nothing has changed. Raises StoreError.

        `extend`: shows the messages that follow the last one of the branch, the newest where there are several.
        Siblings stay beside the branch.
        """
        shown, branch = self.conversation, self.branch
        if not self._store or shown is None or shown.id < 0 or not branch:
            return None
        found = await self._store.look_up(shown.id)
        messages = {message.id: message for message in await self._store.messages(shown.id)} if found else {}
        now = [messages.get(self._log.current_id(message.id)) for message in branch]
        if self.conversation is not shown or self.branch is not branch:
            return None
        if found is None or now[0] is None or now[0].created_ms != branch[0].created_ms:
            return self._note(Gone.ERASED)
        # The end may be missing: a message that nothing answered was taken back where it was written.
        kept = [message for message in takewhile(bool, now) if message is not None]
        longer = branch_through(messages.values(), kept[-1].id) if extend else kept
        self.conversation = found
        changed = BranchChanged(
            n_added=len(longer) - len(kept), rewritten=kept != branch, renamed=found.title != shown.title
        )
        if longer != branch:
            self.branch = longer
        gone = self._note(Gone.DELETED if found.deleted_ms is not None else None)
        changed = replace(changed, gone=gone.gone if gone else None)
        return changed if changed != BranchChanged() else None

    async def bring_back(self) -> None:
        """Undoes the deletion of the conversation; what was erased is kept again, as far as it is shown."""
        shown, gone = self.conversation, self.gone
        if not self._store or shown is None or gone is None:
            return
        if gone is Gone.DELETED:
            with suppress(GoneError):
                await self._store.restore(shown.id)
                if self.conversation is shown:
                    self.conversation, self.gone = replace(shown, deleted_ms=None), None
                return
        self._log.detach(shown, self.branch)
        self.gone = None
        await self.catch_up()

    def _note(self, gone: Gone | None) -> BranchChanged | None:
        before, self.gone = self.gone, gone
        return BranchChanged(gone=gone) if gone and gone is not before else None

    async def ask(
        self, branch: list[Message], asked: UserMessage, kind: ConversationKind, settings: ChatSettings
    ) -> Message:
        """Keeps a message of the user at the end of `branch`, which begins a conversation if there is none."""
        asked = sendable(asked)
        if self.conversation is None:
            conversation, message = await self._log.start(title_of(asked.text), asked, kind, settings)
            if self.branch is branch:
                self.conversation = conversation
        else:
            parent_id = branch[-1].id if branch else None
            message = await self._log.add(
                self.conversation.id, parent_id, Role.USER, asked.text, ReplyState.DONE, asked.attachments
            )
        branch.append(message)
        return message

    async def continue_as(self, kind: ConversationKind, settings: ChatSettings) -> None:
        """Notes who continues the conversation, and its settings if they were never kept."""
        conversation = self.conversation
        if conversation is None:
            return
        if kind is ConversationKind.ASK or conversation.kind is not kind:
            await self._log.continue_as(conversation.id, kind)
        if conversation.settings is None:
            await self._log.keep_settings(conversation.id, settings)
        now_kind = kind if kind is ConversationKind.CHAT else conversation.kind
        self._now(conversation, replace(conversation, kind=now_kind, settings=conversation.settings or settings))

    async def keep_settings(self, settings: ChatSettings) -> None:
        """Keeps what answers the conversation from now on."""
        if conversation := self.conversation:
            await self._log.keep_settings(conversation.id, settings)
            self._now(conversation, replace(conversation, settings=settings))

    async def take_back(self, branch: list[Message]) -> Message | None:
        """Takes the message at the end of `branch` out of it, unless it is a reply, or answered on another branch.

        It stays where it is kept. A conversation that has no other message is left.
        """
        if not branch or branch[-1].role is not Role.USER or await self._log.is_answered(branch[-1]):
            return None
        message = branch.pop()
        if not branch and self.branch is branch:
            self.conversation = None
        return message

    async def end_unanswered(self, branch: list[Message]) -> Message | None:
        """Adds an empty reply, marked as stopped, to a message at the end of `branch` that nothing answers."""
        if not branch or branch[-1].role is not Role.USER or await self._log.is_answered(branch[-1]):
            return None
        message = branch[-1]
        reply = await self._log.add(message.conversation_id, message.id, Role.ASSISTANT, "", ReplyState.STOPPED)
        branch.append(reply)
        return reply

    def last_question(self) -> int | None:
        """Where the last message of the user stands in the branch."""
        return max((i for i, message in enumerate(self.branch) if message.role is Role.USER), default=None)

    def current(self, message: Message) -> Message:
        """The message as it is in the branch now: a reply that was still being written may be finished."""
        now = self._log.current_id(message.id)
        return next((each for each in self.branch if each.id == now), message)

    async def question_of(self, reply: Message) -> int | None:
        """Where the message stands that `reply` answers; shows its branch first, if need be. Raises StoreError.

        None where its conversation has been left.
        """
        return await self._place(self._log.current_id(reply.parent_id or 0), reply)

    async def place_of(self, message: Message) -> int | None:
        """Where a message stands; shows its branch first, if need be. Raises StoreError.

        None where its conversation has been left.
        """
        return await self._place(self._log.current_id(message.id), message)

    async def _place(self, message_id: int, shown_with: Message) -> int | None:
        if all(message.id != message_id for message in self.branch):
            await self.choose(shown_with)
        return next((i for i, message in enumerate(self.branch) if message.id == message_id), None)

    async def show(self, conversation: Conversation | None, branch: list[Message]) -> None:
        """Shows a branch that was left for another one, and keeps that it is the one that is shown."""
        self.conversation, self.branch = conversation, branch
        if conversation and branch:
            await self._log.show(self._log.current_conversation(conversation.id), self._log.current_id(branch[-1].id))

    async def choose(self, message: Message) -> None:
        """Shows the branch through `message`, to the newest leaf below it. Raises StoreError.

        Nothing changes where its conversation is left meanwhile.
        """
        conversation_id = self._log.current_conversation(message.conversation_id)
        messages = await self._log.messages(conversation_id)
        branch = branch_through(messages, self._log.current_id(message.id))
        if not branch:
            raise StoreError(f"there is no message {message.id}", "It may have been deleted in another window.")
        if self.conversation is None or self._log.current_conversation(self.conversation.id) != conversation_id:
            return
        self.branch = branch
        await self._log.show(conversation_id, branch[-1].id)

    def _now(self, before: Conversation | None, now: Conversation) -> None:
        if self.conversation is before:
            self.conversation = now

    async def catch_up(self) -> None:
        """Stores what could not be stored before, and reads it again, for it has other ids then."""
        shown, branch = self.conversation, self.branch
        stored_id = await self._log.catch_up(shown.id if shown else 0)
        if not self._store or not shown or stored_id is None or self.conversation is not shown:
            return
        with suppress(StoreError):
            if branch:
                await self._store.set_tip(stored_id, self._log.current_id(branch[-1].id))
            conversation, branch = await self._store.conversation(stored_id), await self._store.branch(stored_id)
            self.conversation, self.branch = conversation, branch
