"""`ScriptedEngine`: `ScriptedCore` with every capability of the real engine."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence

from app.client.engine import EngineState, Stall
from app.domain.trace import Prediction, TokenTrace
from app.protocol.commands import Bench, Generate, Predict, Resume, Score, Tokenize
from app.protocol.events import (
    BenchEvent,
    BenchFinished,
    BenchMeasured,
    EngineLost,
    Hello,
    ModelReady,
    Predicted,
    PromptFit,
    Scored,
    ScoreEvent,
    ScoreFinished,
    Tokenized,
)
from tests.fakes.engine_events import MODEL_PATH, make_hello, make_prediction, make_ready
from tests.fakes.scripted_core import ScriptedCore
from tests.fakes.scripted_text import fit_of, rendered, scored, tokens_of
from tests.fakes.scripts import Load, Reply


class ScriptedEngine(ScriptedCore):
    """Answers in process, as scripted, with every capability.

    Attributes:
        benches, paused, resumed, tokenized, predicted, scored: what came, in order; `paused` are request ids.
        forgotten: the conversations that were to be forgotten.
        fit: what `tokenize` answers where a fit is asked for; None counts the messages' tokens.
        prediction: what `predict` answers; None is the geometric one.
        stall: set by a test that lets the engine hang.
        crash_looping: set by a test.
        n_restarts: how often `restart` was called.
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
        super().__init__(replies, default=default, loads=loads, loaded=loaded, gated=gated, load_gated=load_gated)
        self.benches: list[Bench] = []
        self.paused: list[int] = []
        self.forgotten: list[int] = []
        self.resumed: list[Resume] = []
        self.tokenized: list[Tokenize] = []
        self.predicted: list[Predict] = []
        self.scored: list[Score] = []
        self.fit: PromptFit | None = None
        self.prediction: Prediction | None = None
        self.stall: Stall | None = None
        self.crash_looping = False
        self.n_restarts = 0

    @property
    def hello(self) -> Hello | None:
        return make_hello()

    def _ready(self, path: str = MODEL_PATH) -> ModelReady:
        return make_ready(path)

    def _understood(self, command: Generate) -> Generate:
        return command

    def restart(self) -> None:
        self.n_restarts += 1
        self.stall = None
        for request_id in self._runs:
            self.abort(request_id)
        self._model, self._state = None, EngineState.LOST

    def forget(self, conversations: Collection[int]) -> None:
        self.forgotten += conversations

    def pause(self, request_id: int) -> None:
        self.paused.append(request_id)
        if run := self._runs.get(request_id):
            run.pause()
        self._gate.change()

    def resume(self, command: Resume) -> None:
        self.resumed.append(command)
        if run := self._runs.get(command.request_id):
            run.resume(command)
        self._gate.change()

    async def tokenize(self, command: Tokenize) -> Tokenized | EngineLost:
        """See `tests.fakes.scripted_text`."""
        self.tokenized.append(command)
        if error := self._unfit():
            return Tokenized(command.request_id, error=error)
        if command.fit_only:
            return Tokenized(command.request_id, fit=self.fit or fit_of(command.messages))
        tokens = rendered(command.messages) if command.messages else tokens_of(command.text, command.parse_special)
        return Tokenized(command.request_id, tokens)

    async def predict(self, command: Predict) -> Predicted | EngineLost:
        """`prediction`, or the geometric one for a token ` next` of the first rank, at most ten candidates."""
        self.predicted.append(command)
        if error := self._unfit():
            return Predicted(command.request_id, error=error)
        tokens = tokens_of(command.text) if command.text else rendered(command.messages)
        made = self.prediction or make_prediction(" next", n_top=min(command.top_k, 10))
        return Predicted(command.request_id, len(tokens), made)

    async def score(self, command: Score) -> AsyncGenerator[ScoreEvent]:
        """Four tokens a step; every token but the first counts."""
        self.scored.append(command)
        if error := self._unfit():
            yield ScoreFinished(command.request_id, error=error)
            return
        tokens = scored(command.text, command.top_k)
        reported: list[TokenTrace] = []
        self._gate.n_open += 1
        try:
            while len(reported) < len(tokens):
                await self._gate.step(lambda: self.closed or command.request_id in self.aborted)
                if self.closed or command.request_id in self.aborted:
                    break
                part = tokens[len(reported) : len(reported) + 4]
                reported += part
                yield Scored(command.request_id, tuple(part))
            nll = -sum(token.logprob for token in reported)
            error = "it was aborted" if len(reported) < len(tokens) else ""
            ended = ScoreFinished(command.request_id, len(reported), max(0, len(reported) - 1), nll, error)
            yield self._closed() or ended
        finally:
            self._gate.n_open -= 1
            self._gate.change()

    def _unfit(self) -> str:
        self._restart()
        return "" if self._model else "no model is loaded"

    async def bench(self, command: Bench) -> AsyncGenerator[BenchEvent]:
        """Ten milliseconds a token, generated or not."""
        self.benches.append(command)
        for _ in range(command.n_reps):
            yield BenchMeasured(command.request_id, (command.n_prompt + command.n_gen) / 100)
        yield BenchFinished(command.request_id)
