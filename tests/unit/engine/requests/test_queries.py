"""What questions leave behind: a failed score gives its context back, a prediction that ends early frees its chain."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from app.domain.generation import PromptSpans
from app.domain.sampling import SamplingParams
from app.domain.trace import PromptToken
from app.engine.core.backend import ComputeError
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import Sequence
from app.engine.requests.queries import QueryRunner
from app.engine.requests.service import ModelService
from app.engine.text.prompt import Prompt
from app.protocol.commands import Generate, Predict, Score
from app.protocol.events import Event, Predicted, ScoreFinished
from tests.fakes.toy_native import ToyBackend

N_TOKENS = 50


class FakeHost:
    """One context for conversations and, where there is `own`, another one for a score."""

    def __init__(self, own: ToyBackend | None = None) -> None:
        self.context, self.own = ToyBackend(), own
        self.schedulers = [Scheduler(self.context)]
        self.loaded = SimpleNamespace(context=self.context, model=SimpleNamespace(vocab=SimpleNamespace(bos=None)))
        self.prompts = self
        self.given_back: list[object] = []

    def from_text(self, text: str, *, bos: bool) -> Prompt:
        return Prompt([1] * N_TOKENS, PromptSpans(n_turn=N_TOKENS))

    def token_spans(self, prompt: Prompt) -> tuple[PromptToken, ...]:
        return ()

    def score_beside(self, n_ctx: int) -> ToyBackend | None:
        return self.own

    def score_done(self, context: object) -> None:
        self.given_back.append(context)

    def fitted(self, command: Generate) -> None:
        return

    def submit(
        self, command: Generate, arrived_s: float, fitted: None, notices: tuple[str, ...] = ()
    ) -> SimpleNamespace:
        sequence = Sequence(command.request_id, list(command.prompt_ids), command.sampling, 0, arrived_s)
        self.schedulers[0].submit(sequence)
        return SimpleNamespace(sequence=sequence)


def asked(command: Predict | Score, host: FakeHost) -> tuple[QueryRunner, list[Event]]:
    said: list[Event] = []
    questions = QueryRunner(said.append, lambda: None)
    questions.ask(command, cast("ModelService", host))
    return questions, said


def test_a_score_that_fails_gives_its_own_context_back_and_makes_no_new_one() -> None:
    own = ToyBackend()
    own.script = [ComputeError("no memory")]
    host = FakeHost(own)
    questions, said = asked(Score(1, "text"), host)
    questions.step()
    assert said == [ScoreFinished(1, error="no memory")]
    assert (own.n_resets, host.context.n_resets, host.given_back) == (0, 0, [own])


def test_a_score_that_fails_in_the_conversations_context_makes_a_new_one() -> None:
    host = FakeHost()
    host.context.script = [ComputeError("no memory")]
    questions, said = asked(Score(1, "text"), host)
    questions.step()
    assert said == [ScoreFinished(1, error="no memory")]
    assert (host.context.n_resets, host.given_back) == (1, [])


def test_a_prediction_under_way_frees_its_chain_when_the_model_is_replaced() -> None:
    host = FakeHost()
    questions, said = asked(Predict(1, (), SamplingParams(), text="text"), host)
    host.schedulers[0].step()
    (sampler,) = host.context.samplers
    assert not sampler.closed
    questions.end("the model was replaced")
    assert sampler.closed
    assert said == [Predicted(1, error="the model was replaced")]
