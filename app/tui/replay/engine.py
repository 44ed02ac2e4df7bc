"""An engine without a model: a request plays a recording, on a clock with a speed that can be held."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from time import monotonic

from msgspec.structs import replace

from app.analysis.recording import Recording
from app.client.engine import EngineState
from app.domain.generation import FinishReason, Timings, Usage
from app.protocol.commands import Generate, LoadModel
from app.protocol.events import (
    GenerationEvent,
    GenerationFinished,
    Hello,
    LoadEvent,
    ModelReady,
    TokensGenerated,
)

SLOWEST, FASTEST = 1 / 64, 64.0


class ReplayClock:
    """Starts at 0 when `start` is called. A speed of 0 is none at all: every time has come already."""

    def __init__(self, speed: float, now: Callable[[], float] = monotonic) -> None:
        self.speed = speed
        self.held = False
        self._now = now
        self._at_ms = 0.0
        self._since = now()
        self._changed = asyncio.Event()

    def start(self) -> None:
        """Goes back to 0 and runs."""
        self._at_ms, self._since, self.held = 0.0, self._now(), False
        self._wake()

    def hold(self, *, held: bool) -> None:
        """Stops the time, or lets it go on."""
        self._settle()
        self.held = held
        self._wake()

    def change_speed(self, factor: float) -> None:
        """Makes it faster or slower, within limits; no effect on a replay without a speed."""
        self._settle()
        self.speed = self.speed and min(FASTEST, max(SLOWEST, self.speed * factor))
        self._wake()

    @property
    def at_ms(self) -> float:
        """The recorded time that it is now."""
        return self._at_ms if self.held else self._at_ms + (self._now() - self._since) * 1000 * self.speed

    async def until(self, at_ms: float, given_up: Callable[[], bool]) -> None:
        """Waits for a recorded time, or until `given_up` holds, which is looked at after every `wake`."""
        while not given_up() and (self.held or (self.speed and self.at_ms < at_ms)):
            left_s = None if self.held else (at_ms - self.at_ms) / 1000 / self.speed
            changed = self._changed
            try:
                async with asyncio.timeout(left_s):
                    await changed.wait()
            except TimeoutError:
                pass
        await asyncio.sleep(0)  # without a speed nothing else would let the screen draw

    def wake(self) -> None:
        """Lets whoever waits look again."""
        self._wake()

    def _settle(self) -> None:
        self._at_ms, self._since = self.at_ms, self._now()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class ReplayEngine:
    """The core of an engine (`app.client.engine.Engine`), from a recording."""

    def __init__(self, recording: Recording, clock: ReplayClock) -> None:
        self.recording = recording
        self.clock = clock
        self._state = EngineState.NO_MODEL
        self._last_id = 0
        self._aborted: set[int] = set()

    @property
    def state(self) -> EngineState:
        """READY after `load`, LOST after `close`."""
        return self._state

    @property
    def hello(self) -> Hello | None:
        """Nobody was started who could say it."""
        return None

    @property
    def model(self) -> ModelReady | None:
        """The model of the recording."""
        return self.recording.model.ready if self._state is EngineState.READY else None

    async def load(self, command: LoadModel) -> AsyncGenerator[LoadEvent]:
        """Is there at once, whatever is asked for."""
        self._state = EngineState.READY
        yield self.recording.model.ready

    async def generate(self, command: Generate) -> AsyncGenerator[GenerationEvent]:
        """Plays the recording from its beginning."""
        request_id = command.request_id
        self.clock.start()
        try:
            async with aclosing(self._play(request_id)) as events:
                async for event in events:
                    yield event
        finally:
            self.clock.hold(held=True)

    async def _play(self, request_id: int) -> AsyncGenerator[GenerationEvent]:
        n_tokens = 0
        for at_ms, event in self.recording.events:
            await self.clock.until(at_ms, lambda: self._is_over(request_id))
            if self._is_over(request_id):
                yield self._broken_off(request_id, n_tokens, FinishReason.ABORT, "")
                return
            if isinstance(event, TokensGenerated):
                n_tokens += len(event.tokens)
            yield replace(event, request_id=request_id)
        if self.recording.finished is None:
            reason = f"the recording ends here, at line {self.recording.cut_at} of {self.recording.source}"
            yield self._broken_off(request_id, n_tokens, FinishReason.ERROR, reason)

    def _broken_off(self, request_id: int, n_tokens: int, reason: FinishReason, error: str) -> GenerationFinished:
        started = self.recording.started
        usage = Usage(started.n_prompt, started.n_cached, n_tokens)
        tokens = self.recording.tokens[:n_tokens]
        decode_ms = sum(token.ms for token in tokens[1:])
        timings = Timings(
            ttft_ms=tokens[0].ms if tokens else 0.0,
            decode_ms=decode_ms,
            decode_tps=(n_tokens - 1) / decode_ms * 1000 if decode_ms else 0.0,
        )
        return GenerationFinished(request_id, reason, usage, timings, error=error)

    def _is_over(self, request_id: int) -> bool:
        return request_id in self._aborted or self._state is EngineState.LOST

    def abort(self, request_id: int) -> None:
        """Ends the replay; what was shown stays."""
        self._aborted.add(request_id)
        self.clock.wake()

    def next_request_id(self) -> int:
        """Counts."""
        self._last_id += 1
        return self._last_id

    async def close(self) -> None:
        """Ends what is played."""
        self._state = EngineState.LOST
        self.clock.wake()
