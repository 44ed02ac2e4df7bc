"""The real worker, frame by frame: what the client's own order of commands never shows."""

from __future__ import annotations

import pytest

from app.domain.conversation import Role
from app.domain.generation import FinishReason
from app.domain.model import LoadOptions
from app.domain.sampling import SamplingParams
from app.protocol.commands import CancelLoad, ChatMessage, Generate, LoadModel
from app.protocol.events import GenerationFinished, LoadFailed, ModelReady, TokensGenerated
from tests.fakes.smollm2 import smollm2_path
from tests.process.raw_worker import RawWorker

pytestmark = pytest.mark.model


LOAD = LoadModel(str(smollm2_path()), LoadOptions(n_ctx=512, n_slots=1))


def question(request_id: int, **params: object) -> Generate:
    sampling = SamplingParams(ban=("<|im_end|>",), **params)  # type: ignore[arg-type]  (a test's own fields)
    return Generate(request_id, (ChatMessage(Role.USER, "Count."),), sampling)


def test_a_cancel_that_comes_with_its_load_is_not_lost(worker: RawWorker) -> None:
    worker.send(LOAD, CancelLoad())
    failed = worker.until(LoadFailed)
    assert failed.cancelled
    worker.send(LOAD)
    assert worker.until(ModelReady)


def test_a_reply_whose_model_is_replaced_keeps_its_counts(worker: RawWorker) -> None:
    worker.send(LOAD)
    worker.until(ModelReady)
    worker.send(question(1))
    worker.until(TokensGenerated)
    worker.send(LOAD)
    finished = worker.until(GenerationFinished)
    assert (finished.finish_reason, finished.error) == (FinishReason.ERROR, "the model was replaced")
    assert finished.usage.n_prompt > 0
    assert finished.usage.n_generated > 0
    worker.until(ModelReady)


def test_a_stop_string_on_the_last_token_is_a_stop(worker: RawWorker) -> None:
    worker.send(LOAD)
    worker.until(ModelReady)
    worker.send(question(1, force=("abc",), stop=("c",), max_tokens=1))
    first = worker.until(GenerationFinished)
    n = first.usage.n_generated
    assert n == 1
    worker.send(question(2, force=("one two",), stop=("two",), max_tokens=2))
    finished = worker.until(GenerationFinished)
    assert finished.finish_reason is FinishReason.STOP
    assert finished.stop.text == "two"


def test_a_window_of_penalties_beyond_all_memory_costs_none(worker: RawWorker) -> None:
    worker.send(LOAD)
    worker.until(ModelReady)
    worker.send(question(1, repeat_penalty=1.1, penalty_last_n=2**31 - 1, max_tokens=2))
    assert worker.until(GenerationFinished).finish_reason is FinishReason.LENGTH
