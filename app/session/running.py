"""The turns of a session: the one that runs, or the several that run at once, and those that ran last.

Knows neither conversations nor what a turn begins with.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from app.client.engine import Engine
from app.domain.conversation import Message
from app.domain.reply_trace import ReplyTrace
from app.protocol.commands import Resume
from app.session.events import TurnEvent
from app.session.keeper import Keeper
from app.session.merge import merge
from app.session.turn import Turn, TurnOptions


class Running:
    """See the module. `claim` and `release` guard that one turn, or one change of branch, happens at a time."""

    def __init__(self, engine: Engine, keeper: Keeper) -> None:
        self._engine = engine
        self._keeper = keeper
        self.stopped = False
        """Whether what runs, or ran last, was ended by `stop`."""
        self._turns: list[Turn] = []
        self._last: list[Turn] = []
        self.busy = False

    def claim(self) -> None:
        """Begins; raises RuntimeError while another has not ended."""
        if self.busy:
            raise RuntimeError("a turn is running")
        self.busy, self.stopped = True, False

    def release(self) -> None:
        """Ends what `claim` began."""
        self.busy = False

    async def one(self, branch: list[Message], at: int, options: TurnOptions) -> AsyncGenerator[TurnEvent]:
        """Streams a reply to `branch[at]`, which takes the place of what followed it in the branch."""
        if failure := self._keeper.take_failure():
            yield failure
        if self.stopped:
            return
        turn = Turn(self._engine, self._keeper, options, branch, at)
        self._turns = self._last = [turn]
        try:
            async with aclosing(turn.run()) as events:
                async for event in events:
                    yield event
        finally:
            self._turns = []

    async def several(
        self, branch: list[Message], at: int, options: Sequence[TurnOptions]
    ) -> AsyncGenerator[tuple[int, TurnEvent]]:
        """Streams replies to `branch[at]` at once, with their indexes; the branch goes on with the last one."""
        if failure := self._keeper.take_failure():
            yield 0, failure
        if self.stopped:
            return
        turns = [Turn(self._engine, self._keeper, each, [*branch], at) for each in options]
        self._turns = self._last = turns
        try:
            async with aclosing(merge([turn.run() for turn in turns])) as events:
                async for event in events:
                    yield event
        finally:
            self._turns = []
            begun = [turn.branch for turn in turns if turn.reply]
            branch[:] = begun[-1] if begun else branch

    def stop(self) -> None:
        """Ends what runs."""
        self.stopped = True
        for turn in self._turns:
            self._engine.abort(turn.request_id)

    def pause(self) -> None:
        """Holds what runs before its next token."""
        for turn in self._turns:
            self._engine.pause(turn.request_id)

    def resume(
        self,
        n_steps: int | None,
        force_ids: Sequence[int],
        force_text: str,
        ban_ids: Sequence[int],
        unban_ids: Sequence[int],
    ) -> None:
        """Lets what is paused go on, as `Resume` says."""
        words = n_steps, tuple(force_ids), force_text, tuple(ban_ids), tuple(unban_ids)
        for turn in self._turns:
            self._engine.resume(Resume(turn.request_id, *words))

    def trace(self, message_id: int) -> ReplyTrace | None:
        """How one of these replies came about, so far."""
        return next((turn.trace for turn in self._last if turn.reply and turn.reply.id == message_id), None)
