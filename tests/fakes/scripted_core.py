"""`ScriptedCore`: an engine in process that can do what every backend can, and nothing else; exact, without a clock.

Every token's figures follow from its place alone (see `tests.fakes.engine_events`). With `gated=True` each prefill
step and each token waits for `permit`/`release`, so that a test decides what has happened and never sleeps.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from app.client.engine import EngineState
from app.domain.generation import FinishReason
from app.protocol.commands import Generate, LoadModel
from app.protocol.events import (
    EngineLost,
    GenerationEvent,
    GenerationFinished,
    Hello,
    LoadEvent,
    LoadFailed,
    LoadProgress,
    ModelReady,
)
from tests.fakes.engine_events import make_finished, make_lost
from tests.fakes.gate import Gate
from tests.fakes.scripted_run import ScriptedRun
from tests.fakes.scripts import Load, Reply, reply


class ScriptedCore:
    """Answers as scripted. `replies` and `load_scripts` are used up in order, then `default` and a plain load.

    Attributes:
        requests, loads, aborted: every command that came, in order; `aborted` has each id once.
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
        self.aborted: list[int] = []
        self.dropped: list[int] = []
        self._runs: dict[int, ScriptedRun] = {}
        self.n_started = 1
        self.closed = False
        self._gate = Gate(free=not gated)
        self._load_gate = Gate(free=not load_gated)
        self._last_id = 0
        self._model: ModelReady | None = self._ready() if loaded else None
        self._reload = self._model
        self._state = EngineState.READY if loaded else EngineState.NO_MODEL

    @property
    def state(self) -> EngineState:
        return self._state

    @property
    def hello(self) -> Hello | None:
        return None

    @property
    def model(self) -> ModelReady | None:
        return self._model

    def next_request_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def permit(self, n: int = 1) -> None:
        """Lets `n` further prefill steps or tokens through; for a test that reads the stream itself."""
        self._gate.permit(n)

    async def release(self, n: int = 1) -> None:
        """Lets `n` steps through and returns when the reader, another task, has handled them and waits for more."""
        await self._gate.release(n)

    async def settled(self) -> None:
        """Returns when every request waits: for a permit, or paused."""
        await self._gate.settled()

    async def release_load(self, n: int = 1) -> None:
        """The same for the steps of a load; the last one is its outcome."""
        await self._load_gate.release(n)

    def run_free(self) -> None:
        """Opens the gates for good."""
        for gate in (self._gate, self._load_gate):
            gate.free = True
            gate.change()

    async def load(self, command: LoadModel) -> AsyncGenerator[LoadEvent]:
        self.loads.append(command)
        script = self.load_scripts.pop(0) if self.load_scripts else Load()
        outcome = script.outcome or self._ready(command.path)
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
        if self._model is None:
            yield make_finished(command.request_id, FinishReason.ERROR, n_prompt=0, error="no model is loaded")
            return
        self._gate.n_open += 1
        run = self._runs[command.request_id] = ScriptedRun(
            self._understood(command), script, self._gate, lambda: self.closed or command.request_id in self.aborted
        )
        ended = False
        try:
            async with aclosing(run.events()) as events:
                async for event in events:
                    if isinstance(event, GenerationFinished):
                        ended = True
                        event = self._closed() or event
                    yield event
            if not ended:
                ended = True
                self._model, self._state = None, EngineState.LOST
                yield make_lost()
        finally:
            if not ended:
                self.dropped.append(command.request_id)
            del self._runs[command.request_id]
            self._gate.n_open -= 1
            self._gate.change()

    def _ready(self, path: str = "model") -> ModelReady:
        """The model, without the facts of llama.cpp."""
        return ModelReady(path, "Somewhere Else 1B", 4096, 180.0)

    def _understood(self, command: Generate) -> Generate:
        """What of a request it can do: it knows no candidates, stages or prompt tokens, and does not steer."""
        return Generate(command.request_id, command.messages, command.sampling, trace_top_k=0)

    def _closed(self) -> EngineLost | None:
        if not self.closed:
            return None
        self._state = EngineState.LOST
        return EngineLost(0, "closed")

    def abort(self, request_id: int) -> None:
        if request_id not in self.aborted:
            self.aborted.append(request_id)
        self._gate.change()

    async def close(self) -> None:
        self.closed = True
        self._model, self._state = None, EngineState.LOST
        for gate in (self._gate, self._load_gate):
            gate.change()
