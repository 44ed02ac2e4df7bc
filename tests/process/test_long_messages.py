"""A message that takes long to tokenise, or that cannot fit at all: refused or given up at once, and others go on."""

from __future__ import annotations

import pytest

from app.domain.conversation import Role
from app.domain.generation import FinishReason
from app.domain.model import LoadOptions
from app.domain.sampling import SamplingParams
from app.protocol.commands import Abort, ChatMessage, Generate, LoadModel, Predict
from app.protocol.events import GenerationFinished, ModelReady, Predicted
from tests.fakes.smollm2 import smollm2_path
from tests.process.raw_worker import RawWorker

pytestmark = pytest.mark.model
SAMPLING = SamplingParams(temperature=0, max_tokens=2)
ONE_WORD = (ChatMessage(Role.USER, "a" * 10_000_000),)


@pytest.fixture
def loaded(worker: RawWorker) -> RawWorker:
    worker.send(LoadModel(str(smollm2_path()), LoadOptions(n_ctx=1024)))
    worker.until(ModelReady)
    return worker


def test_what_cannot_fit_is_refused_before_it_is_tokenised(loaded: RawWorker) -> None:
    loaded.send(Generate(1, ONE_WORD, SAMPLING))
    finished = loaded.until(GenerationFinished)
    assert (finished.finish_reason, finished.usage.n_prompt) == (FinishReason.CONTEXT, 0)
    assert finished.error.startswith("the prompt has at least ")
    assert finished.error.endswith(" tokens, the context window holds 1024")
    loaded.send(Predict(2, ONE_WORD, SAMPLING))
    assert loaded.until(Predicted).error == finished.error


def test_a_long_message_is_given_up_while_it_is_tokenised_and_others_go_on_meanwhile(loaded: RawWorker) -> None:
    long = (ChatMessage(Role.USER, "word " * 16_000),)
    loaded.send(Generate(1, long, SAMPLING), Generate(2, (ChatMessage(Role.USER, "Hi"),), SAMPLING), Abort(1))
    by_id = {each.request_id: each for each in (loaded.until(GenerationFinished) for _ in range(2))}
    assert by_id[1].finish_reason is FinishReason.ABORT
    assert by_id[2].usage.n_generated == 2
    loaded.send(Generate(3, long, SAMPLING))
    finished = loaded.until(GenerationFinished)
    assert finished.finish_reason is FinishReason.CONTEXT
    assert finished.error == f"the prompt has {finished.usage.n_prompt} tokens, the context window holds 1024"
    assert finished.usage.n_prompt > 16_000
