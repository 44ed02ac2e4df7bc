"""The running turns of a session, one or several with their presets, and the merged stream of their events."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TypeVar

from msgspec.structs import replace

from app.client.engine import Engine, Steerable, require
from app.domain.conversation import Message
from app.domain.parameters import N_SEEDS
from app.domain.sampling import Preset
from app.domain.trace import ReplyTrace
from app.protocol.commands import Resume
from app.session.events import TurnEvent
from app.session.message_log import MessageLog
from app.session.turn import Turn, TurnOptions

T = TypeVar("T")


async def merge(streams: Sequence[AsyncGenerator[T]]) -> AsyncGenerator[tuple[int, T]]:
    """Yields what comes, as it comes, with the index of its stream; each stream keeps its order.

    An exception of one stream ends all. However this ends, every stream is closed before.
    """
    queue: asyncio.Queue[tuple[int, T] | Exception | None] = asyncio.Queue(maxsize=len(streams))

    async def pump(index: int, stream: AsyncGenerator[T]) -> None:
        try:
            async with aclosing(stream):
                async for item in stream:
                    await queue.put((index, item))
        except Exception as error:
            await queue.put(error)
        else:
            await queue.put(None)

    tasks = [asyncio.create_task(pump(index, stream)) for index, stream in enumerate(streams)]
    try:
        n_open = len(tasks)
        while n_open:
            got = await queue.get()
            if isinstance(got, Exception):
                raise got
            if got is None:
                n_open -= 1
            else:
                yield got
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def variants(presets: Sequence[Preset], n: int, first_seed: int | None = None) -> list[Preset]:
    """Returns a preset for each of `n` replies: the presets in turn, each time with the next seed.

    A preset's own seed is where its seeds begin, else `first_seed` (a random one, if None) for all alike, so that
    different presets are compared on the same draws.
    """
    start = secrets.randbelow(N_SEEDS) if first_seed is None else first_seed
    made: list[Preset] = []
    for index in range(n):
        preset = presets[index % len(presets)]
        seed = start if preset.sampling.seed is None else preset.sampling.seed
        seed = (seed + index // len(presets)) % N_SEEDS
        made.append(replace(preset, sampling=replace(preset.sampling, seed=seed)))
    return made


class ActiveTurns:
    """Guards that one turn, or one change of branch, happens at a time: `claim` begins it, `release` ends it."""

    def __init__(self, engine: Engine, log: MessageLog) -> None:
        self._engine = engine
        self._log = log
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
        if failure := self._log.take_failure():
            yield failure
        if self.stopped:
            return
        turn = Turn(self._engine, self._log, options, branch, at)
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
        """Streams replies to `branch[at]` at once, with their indexes; the branch continues with the last one."""
        if failure := self._log.take_failure():
            yield 0, failure
        if self.stopped:
            return
        turns = [Turn(self._engine, self._log, each, [*branch], at) for each in options]
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
        """Holds what runs before its next token. Raises UsageError if the engine cannot be paused."""
        engine = require(self._engine, Steerable, "be paused")
        for turn in self._turns:
            engine.pause(turn.request_id)

    def resume(self, how: Resume) -> None:
        """Continues every paused turn in this way. Raises UsageError if the engine cannot be paused."""
        engine = require(self._engine, Steerable, "be paused")
        for turn in self._turns:
            engine.resume(replace(how, request_id=turn.request_id))

    def trace(self, message_id: int) -> ReplyTrace | None:
        """The trace so far of one of these replies."""
        return next((turn.trace for turn in self._last if turn.reply and turn.reply.id == message_id), None)
