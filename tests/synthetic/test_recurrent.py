"""Recurrent and hybrid models in llama.cpp: what a checkpoint brings back is what computing all of it would give."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest

os.environ["GGML_NO_BACKTRACE"] = "1"

from app.domain.generation import PromptSpans
from app.domain.model import LoadOptions
from app.domain.sampling import SamplingParams
from app.engine.core.backend import Logits
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import Sequence
from app.engine.native import library
from app.engine.native.context import NativeContext
from app.engine.native.loader import LoadedModel, load
from app.engine.requests.service import ParallelContext
from app.models.gguf import read_header
from tests.synthetic.recurrent import RecurrentShape
from tests.synthetic.writer import write_model

SHAPES = {
    "mamba": RecurrentShape(n_layers=3, n_embd=128, n_vocab=1000),
    "jamba": RecurrentShape(n_layers=4, n_embd=128, n_vocab=1000, attention_every=2),
}
PROMPT = [3 + (i * 37) % 900 for i in range(120)]
SPANS = PromptSpans(40, 50, 30)


@pytest.fixture(scope="module", params=SHAPES)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoadedModel]:
    library.start()
    path = write_model(tmp_path_factory.mktemp("recurrent") / f"{request.param}.gguf", SHAPES[request.param], "f32")
    assert read_header(path).architecture == request.param
    loaded = load(str(path), LoadOptions(n_ctx=512, n_threads=1, n_slots=2), lambda fraction: True)
    yield loaded
    loaded.close()


@pytest.fixture
def context(whole: LoadedModel) -> NativeContext:
    for seq_id in range(whole.context.n_slots):
        whole.context.clear(seq_id)
    return whole.context


def compute(context: NativeContext, tokens: list[int], n_past: int = 0) -> Logits:
    context.batch.clear()
    first = context.batch.add(tokens, n_past, 0, 1)
    context.decode()
    return context.logits(first + len(tokens) - 1).copy()


def test_it_cannot_be_cut_and_says_so(whole: LoadedModel) -> None:
    assert not whole.context.partial_removal
    assert any("cannot be cut" in notice for notice in whole.notices)


def test_a_checkpoint_brings_back_every_bit(context: NativeContext) -> None:
    compute(context, PROMPT[:60])
    checkpoint = context.checkpoint(0)
    assert checkpoint is not None
    straight = compute(context, PROMPT[60:100], 60)
    assert np.isfinite(straight).all()
    compute(context, PROMPT[5:25], 100)
    assert not context.truncate(0, 60)
    assert context.rewind(0, checkpoint, 60)
    assert context.n_cells(0) == 60
    assert np.array_equal(compute(context, PROMPT[60:100], 60), straight)


def test_a_checkpoint_of_damaged_bytes_is_refused(context: NativeContext) -> None:
    compute(context, PROMPT[:60])
    checkpoint = context.checkpoint(0)
    assert checkpoint is not None
    assert not context.rewind(0, checkpoint[:-100].copy(), 60)


def replies(context: NativeContext, *prompts: list[int], spans: PromptSpans = SPANS) -> list[tuple[list[int], int]]:
    """Greedy replies to prompts one after another, each with how much of its prompt was there."""
    for seq_id in range(context.n_slots):
        context.clear(seq_id)
    scheduler, found = Scheduler(context), []
    for number, prompt in enumerate(prompts):
        params = SamplingParams(temperature=0, max_tokens=12, ban=("<|im_end|>",))
        sequence = Sequence(number, list(prompt), params, 0, 0.0, spans=spans)
        scheduler.submit(sequence)
        while not scheduler.idle:
            scheduler.step()
        assert scheduler.check_integrity() == []
        found.append((sequence.generated, sequence.cache.n_cached))
    return found


def test_edits_and_repeats_say_what_a_fresh_prompt_would(context: NativeContext) -> None:
    edited = [*PROMPT[:90], *PROMPT[10:40]]
    later = [*PROMPT[:100], *PROMPT[20:40]]
    (first, _), (again, n_again), (changed, n_changed), (other, n_other) = replies(
        context, PROMPT, PROMPT, edited, later
    )
    assert (n_again, n_changed, n_other) == (119, 90, 90)
    assert again == first
    for prompt, said in ((edited, changed), (later, other)):
        (fresh, n_fresh), *_ = replies(context, prompt)
        assert n_fresh == 0
        assert said == fresh


def together(*schedulers: Scheduler, prompts: list[list[int]]) -> list[Sequence]:
    """Greedy replies to prompts that come at once, to the last of the schedulers."""
    params = SamplingParams(temperature=0, max_tokens=12, ban=("<|im_end|>",))
    asked = [Sequence(number, list(prompt), params, 0, 0.0) for number, prompt in enumerate(prompts)]
    for sequence in asked:
        schedulers[-1].submit(sequence)
    while not all(scheduler.idle for scheduler in schedulers):
        for scheduler in schedulers:
            scheduler.step()
    assert all(scheduler.check_integrity() == [] for scheduler in schedulers)
    return asked


def test_two_that_begin_alike_share_what_a_checkpoint_holds_and_say_what_each_would_alone(
    context: NativeContext,
) -> None:
    prompts = [[*PROMPT, 5, 6], [*PROMPT, 7, 8, 9]]
    asked = together(Scheduler(context), prompts=prompts)
    assert [each.cache.n_cached for each in asked] == [0, 120]
    for each in asked:
        (fresh, _), *_ = replies(context, each.prompt)
        assert each.generated == fresh


def test_branches_share_their_prompt_and_say_what_each_would_alone(context: NativeContext) -> None:
    main = Scheduler(context)
    branches = ParallelContext(context, main)
    try:
        asked = together(main, branches.scheduler, prompts=[PROMPT] * 3)
        assert [each.cache.n_cached for each in asked] == [0, 119, 119]
        (fresh, _), *_ = replies(context, PROMPT)
        assert [each.generated for each in asked] == [fresh] * 3
    finally:
        branches.context.close()


def test_branches_of_a_conversation_begin_with_a_checkpoint_of_it(context: NativeContext) -> None:
    main = Scheduler(context)
    branches = ParallelContext(context, main)
    try:
        (first,) = together(main, prompts=[PROMPT])
        asked = together(main, branches.scheduler, prompts=[PROMPT] * 2)
        assert [each.cache.n_cached for each in asked] == [119, 119]
        assert [each.generated for each in asked] == [first.generated] * 2
    finally:
        branches.context.close()
