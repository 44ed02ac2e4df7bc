"""`ScriptedEngine`: an `app.client.engine.Engine` in process, exact and without a clock.

Every token's figures follow from its place alone (see `tests.fakes.engine_events`). With `gated=True` each prefill
step and each token waits for `permit`/`release`, so that a test decides what has happened and never sleeps.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.client.engine import EngineState
from app.domain.generation import FinishReason, PromptSpans, Stop
from app.protocol.commands import Bench, Generate, LoadModel
from app.protocol.events import (
    BenchEvent,
    BenchFinished,
    BenchMeasured,
    ContextShifted,
    ContextTrimmed,
    EngineLost,
    GenerationEvent,
    GenerationFinished,
    GenerationStarted,
    Hello,
    LoadEvent,
    LoadFailed,
    LoadProgress,
    ModelReady,
    PrefillProgress,
    TokensGenerated,
)
from tests.fakes.engine_events import (
    EOG,
    make_eog,
    make_finished,
    make_hello,
    make_lost,
    make_ready,
    make_token,
    split_evenly,
)

RANKS = (1, 1, 2, 1, 3)
"""The rank of a reply's n-th token, over and over."""


def pieces(text: str) -> tuple[str, ...]:
    """Cuts a text into words that carry their leading blanks, as a tokenizer does; joined they are the text again."""
    return tuple(re.findall(r"\s*\S+|\s+$", text))


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What one `Generate` does. `pieces` are the tokens' texts, one a token."""

    pieces: Sequence[str] = ()
    finish: FinishReason = FinishReason.STOP
    stop: Stop | None = EOG
    """Kept only with FinishReason.STOP. An `eog` adds one more token without text, as an engine does."""
    n_prompt: int = 20
    n_cached: int = 0
    spans: PromptSpans | None = None
    n_prefill_steps: int = 1
    token_ms: float = 10.0
    seed: int = 42
    error: str = ""
    hint: str = ""
    dies_after: int | None = None
    """Tokens after which the engine is lost; 0 is right after the prefill."""
    trimmed: tuple[int, int] | None = None
    """Messages and tokens that do not fit the window."""
    n_shifted: int = 0
    """Tokens that the window forgets after the reply's first token."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one `load` does: progress, then `outcome` (None is `make_ready` of the path that was asked for)."""

    steps: Sequence[float] = (0.0, 0.5, 1.0)
    outcome: ModelReady | LoadFailed | EngineLost | None = None


def reply(text: str, **changes: Any) -> Reply:
    """A whole reply with this text."""
    return Reply(pieces=pieces(text), **changes)


@dataclass
class Gate:
    """Counts steps that may go ahead; every wait is on a condition."""

    free: bool
    n_permits: int = 0
    n_open: int = 0
    n_waiting: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def change(self) -> None:
        """Wakes everybody who waits on a condition of this gate."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns when `condition` holds; looked at after every change."""
        while not condition():
            await self._changed.wait()

    async def step(self, given_up: Callable[[], bool]) -> None:
        """Waits for a permit, or for `given_up`."""
        await asyncio.sleep(0)
        self.n_waiting += 1
        self.change()
        try:
            await self.until(lambda: self.free or self.n_permits > 0 or given_up())
        finally:
            self.n_waiting -= 1
        if not self.free and self.n_permits and not given_up():
            self.n_permits -= 1
        self.change()


class ScriptedEngine:
    """See the module. `replies` and `load_scripts` are used up in order, then `default` and a plain load.

    Attributes:
        requests, loads, benches, aborted: every command that came, in order; `aborted` has each id once.
        dropped: requests whose generator was closed before its last event.
        n_started: how often a worker was started, by loading or after a loss.
        closed: whether `close` was called.
    """

    def __init__(
        self,
        replies: Sequence[Reply | str] = (),
        *,
        default: Reply | str = "Hello from the scripted engine.",
        loads: Sequence[Load] = (),
        loaded: bool = True,
        gated: bool = False,
        load_gated: bool = False,
    ) -> None:
        self.replies = list(replies)
        self.default = default
        self.load_scripts = list(loads)
        self.requests: list[Generate] = []
        self.loads: list[LoadModel] = []
        self.benches: list[Bench] = []
        self.aborted: list[int] = []
        self.dropped: list[int] = []
        self.n_started = 1
        self.closed = False
        self._gate = Gate(free=not gated)
        self._load_gate = Gate(free=not load_gated)
        self._last_id = 0
        self._hello = make_hello()
        self._model: ModelReady | None = make_ready() if loaded else None
        self._reload = self._model
        self._state = EngineState.READY if loaded else EngineState.NO_MODEL

    @property
    def state(self) -> EngineState:
        return self._state

    @property
    def hello(self) -> Hello | None:
        return self._hello

    @property
    def model(self) -> ModelReady | None:
        return self._model

    def next_request_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def permit(self, n: int = 1) -> None:
        """Lets `n` further prefill steps or tokens through; for a test that reads the stream itself."""
        self._gate.n_permits += n
        self._gate.change()

    async def release(self, n: int = 1) -> None:
        """Lets `n` steps through and returns when the reader, another task, has handled them and waits for more."""
        await self._gate.until(lambda: self._gate.n_waiting > 0)
        self.permit(n)
        await self._settled(self._gate)

    async def release_load(self, n: int = 1) -> None:
        """The same for the steps of a load; the last one is its outcome."""
        await self._load_gate.until(lambda: self._load_gate.n_waiting > 0)
        self._load_gate.n_permits += n
        self._load_gate.change()
        await self._settled(self._load_gate)

    async def _settled(self, gate: Gate) -> None:
        await gate.until(lambda: gate.n_open == 0 or (gate.n_permits == 0 and gate.n_waiting == gate.n_open))

    def run_free(self) -> None:
        """Opens the gates for good."""
        for gate in (self._gate, self._load_gate):
            gate.free = True
            gate.change()

    async def load(self, command: LoadModel) -> AsyncGenerator[LoadEvent]:
        self.loads.append(command)
        script = self.load_scripts.pop(0) if self.load_scripts else Load()
        outcome = script.outcome or make_ready(path=command.path)
        self._restart()
        self._model, self._state = None, EngineState.LOADING
        gate = self._load_gate
        gate.n_open += 1
        try:
            for fraction in script.steps:
                await gate.step(lambda: self.closed)
                yield LoadProgress(fraction)
            await gate.step(lambda: self.closed)
            self._settle_load(outcome)
            yield outcome
        finally:
            if self._state is EngineState.LOADING:
                self._state = EngineState.NO_MODEL
            gate.n_open -= 1
            gate.change()

    def _settle_load(self, outcome: ModelReady | LoadFailed | EngineLost) -> None:
        match outcome:
            case ModelReady():
                self._model = self._reload = outcome
                self._state = EngineState.READY
            case LoadFailed():
                self._state = EngineState.NO_MODEL
            case EngineLost():
                self._state = EngineState.LOST

    def _restart(self) -> None:
        if self._state is EngineState.LOST:
            self.n_started += 1
            self._model = self._reload
            self._state = EngineState.READY if self._model else EngineState.NO_MODEL

    async def generate(self, command: Generate) -> AsyncGenerator[GenerationEvent]:
        self.requests.append(command)
        script = self.replies.pop(0) if self.replies else self.default
        script = reply(script) if isinstance(script, str) else script
        self._restart()
        self._gate.n_open += 1
        ended = False
        events = self._run(command, script)
        try:
            async for event in events:
                ended = isinstance(event, GenerationFinished | EngineLost)
                yield event
        finally:
            await events.aclose()
            if not ended:
                self.dropped.append(command.request_id)
            self._gate.n_open -= 1
            self._gate.change()

    async def _run(self, command: Generate, script: Reply) -> AsyncGenerator[GenerationEvent]:
        request_id = command.request_id
        n_new = script.n_prompt - script.n_cached
        spans = script.spans or PromptSpans(n_turn=script.n_prompt)
        n_tokens = 0

        def given_up() -> bool:
            return self.closed or request_id in self.aborted

        def finished(reason: FinishReason, stop: Stop | None = None) -> GenerationEvent:
            if self.closed:
                self._state = EngineState.LOST
                return EngineLost(0, "closed")
            return make_finished(
                request_id,
                reason,
                stop=stop,
                n_prompt=script.n_prompt,
                n_cached=script.n_cached,
                n_generated=n_tokens,
                token_ms=script.token_ms,
                error=script.error if reason is FinishReason.ERROR else "",
                hint=script.hint if reason is FinishReason.ERROR else "",
            )

        if self._model is None:
            yield make_finished(request_id, FinishReason.ERROR, n_prompt=0, error="no model is loaded")
            return
        if script.trimmed:
            yield ContextTrimmed(request_id, *script.trimmed)
        yield GenerationStarted(
            request_id, script.n_prompt, script.n_cached, spans, command.sampling.seed or script.seed
        )
        for n_done in split_evenly(n_new, script.n_prefill_steps):
            await self._gate.step(given_up)
            if given_up():
                yield finished(FinishReason.ABORT)
                return
            yield PrefillProgress(request_id, n_done, n_new, float(n_done))
        for text in script.pieces:
            if n_tokens == script.dies_after:
                break
            await self._gate.step(given_up)
            if given_up():
                yield finished(FinishReason.ABORT)
                return
            ms = script.token_ms if n_tokens else n_new + script.token_ms
            token = make_token(text, n_tokens, ms=ms, rank=RANKS[n_tokens % len(RANKS)], n_top=command.trace_top_k)
            n_tokens += 1
            yield TokensGenerated(request_id, text, (token,))
            if script.n_shifted and n_tokens == 1:
                yield ContextShifted(request_id, 4, script.n_shifted)
        if script.dies_after is not None:
            self._model, self._state = None, EngineState.LOST
            yield make_lost()
            return
        stop = script.stop if script.finish is FinishReason.STOP else None
        if stop and stop.kind == "eog":
            n_tokens += 1
            yield TokensGenerated(request_id, "", (make_eog(ms=script.token_ms, n_top=command.trace_top_k),))
        yield finished(script.finish, stop)

    async def bench(self, command: Bench) -> AsyncGenerator[BenchEvent]:
        """Ten milliseconds a token, generated or not."""
        self.benches.append(command)
        for _ in range(command.n_reps):
            yield BenchMeasured(command.request_id, (command.n_prompt + command.n_gen) / 100)
        yield BenchFinished(command.request_id)

    def abort(self, request_id: int) -> None:
        if request_id not in self.aborted:
            self.aborted.append(request_id)
        self._gate.change()

    async def close(self) -> None:
        self.closed = True
        self._model, self._state = None, EngineState.LOST
        for gate in (self._gate, self._load_gate):
            gate.change()
