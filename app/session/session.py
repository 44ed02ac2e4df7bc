"""A live conversation: bound to an engine, a store and a preset. The rules of a chat, without a screen.

Knows no SQL, no process and no widget. Used from one asyncio loop, one turn at a time.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import TypeVar

from msgspec.structs import replace

from app.client.engine import Engine
from app.config.settings import TraceSettings
from app.domain.conversation import ChatSettings, Conversation, ConversationKind, Message, UserMessage
from app.domain.errors import TokscopeError
from app.domain.generation import FinishReason
from app.domain.sampling import Preset
from app.domain.trace import ReplyTrace
from app.protocol.commands import Resume
from app.protocol.events import GenerationFinished
from app.session.active_branch import ActiveBranch
from app.session.active_turns import ActiveTurns, variants
from app.session.events import (
    BranchChanged,
    Gone,
    MessageReturned,
    MessageStored,
    PrefixRecomputed,
    ReplyFinished,
    ReplyStarted,
    TurnEvent,
)
from app.session.message_log import MessageLog
from app.session.others import Others, SeenState
from app.session.reply_prefix import NOTHING, ReplyPrefix, continuation_of, fork_of, rewrite_of
from app.session.turn import TurnOptions, TurnSettings, complete
from app.store.store import Store

T = TypeVar("T")
Ids = Sequence[int]
KEEP = TraceSettings()
Begin = Callable[[Message, ReplyTrace | None], ReplyPrefix]


class Session:
    """Turns, forks and parallel replies of one conversation.

    Close a turn's generator (`contextlib.aclosing`) when you leave it early.

    Every turn, `choose` and `bring_back` raise RuntimeError while a turn runs.

    Attributes:
        settings: what the next turn runs with; may be replaced at any time.
        kind: who continues conversations here; one that the chat continues is a chat.
    """

    def __init__(
        self,
        engine: Engine,
        store: Store | None,
        settings: TurnSettings,
        *,
        kind: ConversationKind = ConversationKind.CHAT,
        traces: TraceSettings = KEEP,
    ) -> None:
        self.engine = engine
        self.store = store
        self.settings = settings
        self.kind = kind
        self._log = MessageLog(store, traces)
        self._active = ActiveBranch(store, self._log)
        self._running = ActiveTurns(engine, self._log)
        self._others = Others(store, self._log, self._active, self._running)
        self._met: BranchChanged | None = None
        """What others did since the turn before."""

    @property
    def conversation(self) -> Conversation | None:
        """None until the first message."""
        return self._active.conversation

    @conversation.setter
    def conversation(self, conversation: Conversation | None) -> None:
        self._active.conversation = conversation

    @property
    def branch(self) -> list[Message]:
        """The messages shown, root first; the running turn changes it in place."""
        return self._active.branch

    @branch.setter
    def branch(self, branch: list[Message]) -> None:
        self._active.branch = branch

    @property
    def busy(self) -> bool:
        """Whether a turn runs."""
        return self._running.busy

    @property
    def saving(self) -> bool:
        """Whether messages go to the store: False without one, and from a StoreFailed until it works again."""
        return self._log.saving

    @property
    def unsaved(self) -> list[Message]:
        """What the store has missed since it failed, oldest first; empty without a store."""
        return self._log.unsaved

    @property
    def gone(self) -> Gone | None:
        """Whether another program deleted or erased the conversation; the next turn brings it back."""
        return self._active.gone

    @property
    def others_reply(self) -> bool:
        """Whether the branch ends in a reply that another program is writing."""
        return self._others.write_a_reply

    def use(self, settings: ChatSettings) -> None:
        """Answers with these settings from the next turn on; the model is the caller's to load."""
        self.settings = replace(self.settings, chat=settings, preset=settings.effective)

    async def keep(self, settings: ChatSettings) -> None:
        """Uses these settings, and keeps them as those of the conversation that is shown."""
        self.use(settings)
        await complete(self._active.keep_settings(settings))

    def send(self, message: UserMessage, *, instead_of: Message | None = None) -> AsyncGenerator[TurnEvent]:
        """Keeps the user's message, then streams the reply to it.

        `instead_of`: an older message of the user, which stays as a sibling with all that followed it; it is shown
        again if nothing answers the new one. Raises StoreError when it cannot be found.
        """
        return self._alone(self._send(message, instead_of), extend=instead_of is None)

    def regenerate(self) -> AsyncGenerator[TurnEvent]:
        """Streams another reply to the last user message, if there is one; an old one stays as its sibling."""
        return self._alone(self._again())

    def fork(
        self, reply: Message, n_tokens: int, *, force_ids: Ids = (), text: str = "", n_steps: int | None = None
    ) -> AsyncGenerator[TurnEvent]:
        """Streams a sibling of `reply` that keeps its first `n_tokens` tokens and continues with the forced ones.

        If the loaded model is another one, `PrefixRecomputed` comes first. Raises ForkError if too few tokens are kept.
        """
        model = self._model_name
        begin = partial(fork_of, n_tokens=n_tokens, force_ids=force_ids, text=text, model=model)
        return self._alone(self._again(reply, begin, n_steps))

    def rewrite(self, reply: Message, text: str) -> AsyncGenerator[TurnEvent]:
        """Streams a sibling of `reply` that begins with `text`, and keeps the tokens that fit. Raises ForkError."""
        begin = partial(rewrite_of, text=text, model=self._model_name)
        return self._alone(self._again(reply, begin))

    def continue_reply(self, reply: Message) -> AsyncGenerator[TurnEvent]:
        """Streams a sibling of `reply` that holds its whole text and continues where it ended. Raises ForkError."""
        begin = partial(continuation_of, model=self._model_name)
        return self._alone(self._again(reply, begin))

    def send_many(self, message: UserMessage, n: int) -> AsyncGenerator[tuple[int, TurnEvent]]:
        """`parallel` replies of the preset with seeds that follow each other from its own, or from a random one."""
        return self.parallel(message, variants([self.settings.preset], n))

    def parallel(self, message: UserMessage | None, presets: Sequence[Preset]) -> AsyncGenerator[tuple[int, TurnEvent]]:
        """Keeps the user's message, then streams a reply with each preset at once, each event with its reply's index.

        Without a message they answer the last user message again. The replies are siblings; the branch continues with
        the last one until `choose` picks another. What belongs to no reply has index 0.
        """
        return self._alone(self._parallel(message, presets), extend=message is not None)

    def stop(self) -> None:
        """Ends the running turn, keeping its text; returns at once; the stream ends with the last event. Idempotent."""
        self._running.stop()

    def pause(self) -> None:
        """Holds the running turn before its next token; returns at once; `Paused` follows in the stream."""
        self._running.pause()

    def resume(self, how: Resume) -> None:
        """Continues a paused turn; no effect on one that is not paused."""
        self._running.resume(how)

    def trace(self, message_id: int) -> ReplyTrace | None:
        """The trace so far of a reply of the current or last turn; None for any other."""
        return self._running.trace(message_id)

    async def load_trace(self, message_id: int) -> ReplyTrace | None:
        """The same for any reply; None where it is not kept. Raises StoreError when it cannot be read."""
        return self.trace(message_id) or await self._log.trace(message_id)

    async def look(self) -> SeenState:
        """Finds out what other programs did, and whether a store that failed works again. Meant for once a second.

        The branch changes only where no turn runs; a turn that is begun meanwhile waits.
        """
        return await self._others.look()

    async def versions(self, shown: Sequence[Message]) -> dict[int, list[Message]]:
        """By the id of each message of a branch: all that answer what it answers, itself too; oldest first.

        Raises StoreError when they cannot be read.
        """
        return await self._log.versions(shown)

    async def choose(self, message: Message) -> None:
        """Shows the branch through `message`, to the newest leaf below it, unless its conversation is left meanwhile.

        Raises StoreError when it cannot be read; then nothing has changed.
        """
        await self._claim()
        try:
            await complete(self._active.choose(message))
        finally:
            self._running.release()

    async def bring_back(self) -> None:
        """Undoes what another program did to the conversation, see `gone`. Raises StoreError."""
        await self._claim()
        try:
            await complete(self._active.bring_back())
        finally:
            self._running.release()

    def new(self) -> None:
        """Leaves the conversation, stopping its turn; the next message begins another one."""
        self.stop()
        self._active.leave()

    async def open(self, conversation_id: int) -> None:
        """Leaves the conversation for a stored one. Raises StoreError, then nothing has changed.

        The one that is shown is not left: only its row is read again, and its turn goes on.
        """
        if await self._active.open(conversation_id):
            self.stop()

    async def open_last(self) -> bool:
        """Opens the last conversation that this kind may continue; False when there is none. Raises StoreError."""
        last = await self.store.last_conversation(self.kind) if self.store else None
        if last:
            await self.open(last.id)
        return last is not None

    async def _claim(self) -> None:
        async with self._others.lock:
            self._running.claim()

    async def _alone(self, events: AsyncGenerator[T], *, extend: bool = False) -> AsyncGenerator[T]:
        await self._claim()
        try:
            await complete(self._active.catch_up())
            self._met = await self._others.meet(extend=extend)
            await complete(self._active.continue_as(self.kind, self.settings.kept))
            async with aclosing(events):
                async for event in events:
                    yield event
        finally:
            self._running.release()

    async def _send(self, asked: UserMessage, instead_of: Message | None) -> AsyncGenerator[TurnEvent]:
        if self._met:
            yield self._met
        at = await complete(self._active.place_of(instead_of)) if instead_of else 0
        if at is None:
            return
        conversation, before = self.conversation, self.branch
        branch = self.branch = before[:at] if instead_of else before
        message = await complete(self._active.ask(branch, asked, self.kind, self.settings.kept))
        yield MessageStored(message)
        events = self._running.one(branch, len(branch) - 1, self._options())
        async with aclosing(self._or_returned(branch, events)) as answered:
            async for event in answered:
                if instead_of and isinstance(event, MessageReturned) and self.branch is branch:
                    await complete(self._active.show(conversation, before))
                yield event

    async def _again(
        self, reply: Message | None = None, begin: Begin | None = None, n_steps: int | None = None
    ) -> AsyncGenerator[TurnEvent]:
        if self._met:
            yield self._met
        trace = await self.load_trace(reply.id) if reply else None
        beginning = begin(self._active.current(reply), trace) if reply and begin else NOTHING
        at = await complete(self._active.question_of(reply)) if reply else self._active.last_question()
        if at is None:
            return
        if beginning.reread_from:
            yield PrefixRecomputed(beginning.reread_from)
        events = self._running.one(self.branch, at, self._options(beginning, n_steps))
        async with aclosing(self._or_returned(self.branch, events)) as answered:
            async for event in answered:
                yield event

    async def _parallel(
        self, asked: UserMessage | None, presets: Sequence[Preset]
    ) -> AsyncGenerator[tuple[int, TurnEvent]]:
        if self._met:
            yield 0, self._met
        branch, at = self.branch, self._active.last_question()
        if asked is not None:
            message = await complete(self._active.ask(branch, asked, self.kind, self.settings.kept))
            yield 0, MessageStored(message)
            at = len(branch) - 1
        if at is None:
            return
        settings = self._options().settings
        options = [TurnOptions(settings=replace(settings, preset=preset), shares_prefix=True) for preset in presets]
        async with aclosing(self._running.several(branch, at, options)) as events:
            async for event in events:
                yield event
        async with aclosing(self._returned(branch)) as returned:
            async for event in returned:
                yield 0, event

    async def _or_returned(self, branch: list[Message], events: AsyncGenerator[TurnEvent]) -> AsyncGenerator[TurnEvent]:
        """A turn, and behind it the message that it did not answer."""
        last: TurnEvent | None = None
        try:
            async with aclosing(events):
                async for last in events:
                    yield last
        except TokscopeError:
            async with aclosing(self._returned(branch)) as returned:
                async for event in returned:
                    yield event
            raise
        too_long = isinstance(last, GenerationFinished) and last.finish_reason is FinishReason.CONTEXT
        async with aclosing(self._returned(branch, also_before=too_long)) as returned:
            async for event in returned:
                yield event

    async def _returned(self, branch: list[Message], *, also_before: bool = False) -> AsyncGenerator[TurnEvent]:
        """Returns what is at the end of `branch` without an answer; a message whose turn the user stopped stays."""
        if self._running.stopped:
            if reply := await complete(self._active.end_unanswered(branch)):
                yield ReplyStarted(reply)
                yield ReplyFinished(reply)
            return
        while message := await complete(self._active.take_back(branch)):
            try:
                yield MessageReturned(message)
            finally:
                await complete(self._log.withdraw(message))
            if not also_before:
                return

    @property
    def _model_name(self) -> str:
        loaded = self.engine.model
        return self.settings.model_name or (loaded.title if loaded else "")

    def _options(self, beginning: ReplyPrefix = NOTHING, n_steps: int | None = None) -> TurnOptions:
        now = self.settings
        return TurnOptions(
            settings=replace(now, preset=beginning.of(now.preset), model_name=self._model_name),
            n_steps=0 if n_steps is None and now.step_from_start else n_steps,
            beginning=beginning,
        )
