"""A live conversation: bound to an engine, a store and a preset. The rules of a chat, without a screen.

Knows no SQL, no process and no widget. Used from one asyncio loop, one turn at a time.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from app.client.engine import Engine
from app.domain.conversation import Conversation, Message, ReplyState, Role
from app.domain.errors import StoreError
from app.domain.preset import Preset
from app.domain.text import one_line
from app.session.events import MessageStored, TurnEvent
from app.session.keeper import Keeper
from app.session.merge import merge
from app.session.turn import Turn, TurnOptions, complete, continuations
from app.store.store import Store

TITLE_LIMIT = 60


def title_of(text: str) -> str:
    """The title of a conversation that begins with `text`: its first line that says something, made safe."""
    lines = (one_line(line, TITLE_LIMIT) for line in text.splitlines())
    return next(filter(None, lines), "New conversation")


class Session:
    """See the module. Close a turn's generator (`contextlib.aclosing`) when you leave it early.

    Attributes:
        conversation: None until the first message.
        branch: the messages shown, root first; the running turn changes it in place.
        preset, model_name, trace_top_k, trace_stages, speculate: may be set at any time; the next turn uses them.
            `model_name` empty stands for the title of the model that is loaded.
    """

    def __init__(
        self,
        engine: Engine,
        store: Store | None,
        *,
        preset: Preset,
        trace_top_k: int = 10,
        model_name: str = "",
    ) -> None:
        self.engine = engine
        self.store = store
        self.preset = preset
        self.model_name = model_name
        self.trace_top_k = trace_top_k
        self.trace_stages = False
        self.speculate = False
        self.conversation: Conversation | None = None
        self.branch: list[Message] = []
        self._keeper = Keeper(store)
        self._busy = False
        self._stopped = False
        self._turns: list[Turn] = []

    @property
    def busy(self) -> bool:
        """Whether a turn runs."""
        return self._busy

    @property
    def saving(self) -> bool:
        """Whether messages go to the store: False without one, and from a StoreFailed until it works again."""
        return self._keeper.saving

    async def send(self, text: str) -> AsyncGenerator[TurnEvent]:
        """Keeps the user's message, then streams the reply to it. Raises RuntimeError while a turn runs."""
        self._claim()
        try:
            await complete(self._catch_up())
            branch = self.branch
            yield MessageStored(await complete(self._add_user_message(branch, text)))
            async with aclosing(self._reply(branch, len(branch) - 1)) as events:
                async for event in events:
                    yield event
        finally:
            self._busy = False

    async def regenerate(self) -> AsyncGenerator[TurnEvent]:
        """Streams another reply to the last user message; an old one stays as its sibling.

        Does nothing in an empty conversation. Raises RuntimeError while a turn runs.
        """
        self._claim()
        try:
            await complete(self._catch_up())
            branch = self.branch
            at = max((i for i, m in enumerate(branch) if m.role is Role.USER), default=None)
            if at is None:
                return
            async with aclosing(self._reply(branch, at)) as events:
                async for event in events:
                    yield event
        finally:
            self._busy = False

    async def send_many(self, text: str, n: int) -> AsyncGenerator[tuple[int, TurnEvent]]:
        """Keeps the user's message, then streams `n` replies to it at once, each event with its reply's index.

        Their seeds are the preset's, or a random one, and those that follow it. The replies are siblings; the
        conversation goes on with the last. What belongs to no reply has index 0. Raises RuntimeError while a turn runs.
        """
        self._claim()
        try:
            await complete(self._catch_up())
            branch = self.branch
            yield 0, MessageStored(await complete(self._add_user_message(branch, text)))
            async with aclosing(self._replies(branch, n)) as events:
                async for event in events:
                    yield event
        finally:
            self._busy = False

    def stop(self) -> None:
        """Ends the running turn, keeping its text; returns at once, the stream tells the end. Idempotent."""
        self._stopped = True
        for turn in self._turns:
            self.engine.abort(turn.request_id)

    def new(self) -> None:
        """Leaves the conversation, stopping its turn; the next message begins another one."""
        self.stop()
        self.conversation = None
        self.branch = []

    async def open(self, conversation_id: int) -> None:
        """Leaves the conversation for a stored one. Raises StoreError, then nothing has changed.

        The one that is shown is not left: only its row is read again, and its turn goes on.
        """
        if not self.store:
            return
        conversation = await self.store.conversation(conversation_id)
        if self.conversation and self.conversation.id == conversation_id:
            self.conversation = conversation
            return
        branch = await self.store.branch(conversation_id)
        self.stop()
        self.conversation, self.branch = conversation, branch

    async def open_last(self) -> bool:
        """Opens the conversation used last; False when there is none. Raises StoreError."""
        last = await self.store.last_conversation() if self.store else None
        if last:
            await self.open(last.id)
        return last is not None

    def _claim(self) -> None:
        if self._busy:
            raise RuntimeError("a turn is running")
        self._busy, self._stopped = True, False

    async def _reply(self, branch: list[Message], at: int) -> AsyncGenerator[TurnEvent]:
        if failure := self._keeper.take_failure():
            yield failure
        if self._stopped:
            return
        turn = Turn(self.engine, self._keeper, self._options(), branch, at)
        self._turns = [turn]
        try:
            async with aclosing(turn.run()) as events:
                async for event in events:
                    yield event
        finally:
            self._turns = []

    async def _replies(self, branch: list[Message], n: int) -> AsyncGenerator[tuple[int, TurnEvent]]:
        if failure := self._keeper.take_failure():
            yield 0, failure
        if self._stopped:
            return
        at = len(branch) - 1
        turns = [Turn(self.engine, self._keeper, each, [*branch], at) for each in continuations(self._options(), n)]
        self._turns = turns
        try:
            async with aclosing(merge([turn.run() for turn in turns])) as events:
                async for event in events:
                    yield event
        finally:
            self._turns = []
            begun = [turn.branch for turn in turns if turn.has_reply]
            branch[:] = begun[-1] if begun else branch

    def _options(self) -> TurnOptions:
        loaded = self.engine.model
        return TurnOptions(
            preset=self.preset,
            model_name=self.model_name or (loaded.title if loaded else ""),
            trace_top_k=self.trace_top_k,
            trace_stages=self.trace_stages,
            speculate=self.speculate,
        )

    async def _add_user_message(self, branch: list[Message], text: str) -> Message:
        content = text.encode("utf-8", "replace").decode("utf-8")
        if self.conversation is None:
            conversation, message = await self._keeper.start(title_of(content), content)
            if self.branch is branch:
                self.conversation = conversation
        else:
            parent_id = branch[-1].id if branch else None
            message = await self._keeper.add(self.conversation.id, parent_id, Role.USER, content, ReplyState.DONE)
        branch.append(message)
        return message

    async def _catch_up(self) -> None:
        shown = self.conversation
        stored_id = await self._keeper.catch_up(shown.id if shown else 0)
        if not self.store or not shown or stored_id is None or self.conversation is not shown:
            return
        with suppress(StoreError):
            conversation, branch = await self.store.conversation(stored_id), await self.store.branch(stored_id)
            self.conversation, self.branch = conversation, branch
