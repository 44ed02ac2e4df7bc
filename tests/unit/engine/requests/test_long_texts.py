"""Questions with a long text: it is tokenised beside the loop, can be given up, and ends with one answer."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from app.domain.sampling import SamplingParams
from app.domain.trace import PromptToken
from app.engine.requests.queries import LONG, QueryRunner
from app.engine.requests.service import ModelService
from app.protocol.commands import Predict, Score, Tokenize
from app.protocol.events import Event, Predicted, ScoreFinished, Tokenized

TEXT = "a" * (LONG + 1)


class SlowPrompts:
    """Tokenises into one token, when it may."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.n_begun = 0
        self.error = ""

    def from_text(self, text: str, *, bos: bool, parse_special: bool = False) -> str:
        self.n_begun += 1
        assert self.may.wait(10)
        if self.error:
            raise ValueError(self.error)
        return text

    def token_spans(self, prompt: str) -> tuple[PromptToken, ...]:
        return (PromptToken(1, prompt[:1], len(prompt)),)


class Asked:
    """Questions, a host that only has prompts, and what was sent."""

    def __init__(self) -> None:
        self.prompts = SlowPrompts()
        self.sent: list[Event] = []
        self.woken = threading.Semaphore(0)
        self.questions = QueryRunner(self.sent.append, self.woken.release)

    @property
    def host(self) -> ModelService:
        host: Any = type("Host", (), {"prompts": self.prompts})()
        return cast(ModelService, host)

    def wait(self) -> None:
        """Until the thread has called, and the loop has looked."""
        assert self.woken.acquire(timeout=10)
        self.questions.step()


@pytest.fixture
def asked() -> Asked:
    return Asked()


def test_a_long_text_is_answered_when_it_is_done_and_nobody_waits_for_it(asked: Asked) -> None:
    asked.questions.ask(Tokenize(1, TEXT), asked.host)
    asked.questions.step()
    assert asked.sent == []
    assert asked.questions.idle, "the loop rests until it is woken"
    assert not asked.questions.at_rest(0)
    asked.prompts.may.set()
    asked.wait()
    assert asked.sent == [Tokenized(1, (PromptToken(1, "a", LONG + 1),))]
    assert asked.questions.at_rest(10)


def test_a_short_text_is_answered_at_once(asked: Asked) -> None:
    asked.prompts.may.set()
    asked.questions.ask(Tokenize(1, TEXT[:LONG]), asked.host)
    assert asked.sent == [Tokenized(1, (PromptToken(1, "a", LONG),))]


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (Tokenize(1, TEXT), Tokenized(1, error="it was aborted")),
        (Predict(1, (), SamplingParams(), text=TEXT), Predicted(1, error="it was aborted")),
        (Score(1, TEXT), ScoreFinished(1, error="it was aborted")),
    ],
    ids=lambda each: type(each).__name__,
)
def test_an_abort_is_answered_at_once_and_once(
    asked: Asked, command: Tokenize | Predict | Score, answer: Event
) -> None:
    asked.questions.ask(command, asked.host)
    asked.questions.abort(1)
    assert asked.sent == [answer]
    asked.questions.abort(1)
    asked.prompts.may.set()
    asked.wait()
    assert asked.sent == [answer]


def test_what_waits_behind_another_text_and_is_aborted_is_never_begun(asked: Asked) -> None:
    asked.questions.ask(Tokenize(1, TEXT), asked.host)
    asked.questions.ask(Tokenize(2, TEXT), asked.host)
    asked.questions.abort(2)
    asked.prompts.may.set()
    asked.wait()
    asked.wait()
    assert [event.request_id for event in asked.sent if isinstance(event, Tokenized)] == [2, 1]
    assert asked.prompts.n_begun == 1


def test_a_model_that_goes_ends_them(asked: Asked) -> None:
    asked.questions.ask(Score(1, TEXT), asked.host)
    asked.questions.end("the model was replaced")
    assert asked.sent == [ScoreFinished(1, error="the model was replaced")]
    asked.prompts.may.set()
    assert asked.questions.at_rest(10), "the old model is free to go"
    asked.wait()
    assert len(asked.sent) == 1


def test_a_text_that_cannot_be_tokenised_fails_alone(asked: Asked) -> None:
    asked.prompts.error = "llama_tokenize asked for more"
    asked.prompts.may.set()
    asked.questions.ask(Tokenize(1, TEXT), asked.host)
    asked.wait()
    assert asked.sent == [Tokenized(1, error="llama_tokenize asked for more")]
