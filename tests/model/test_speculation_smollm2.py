"""Speculation on the real model: the same text, fewer decodes, and a draft model that must fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.domain.model import LoadOptions
from app.domain.sampling import SamplingParams
from app.domain.trace import Origin
from app.engine.core.backend import ComputeError, Sampler
from app.engine.core.draft import Drafter, NGramDrafter
from app.engine.core.events import Sampled
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import Sequence
from app.engine.core.speculation import Speculation
from app.engine.native.context import NativeContext
from app.engine.native.drafting import DraftModel
from app.engine.native.loader import LoadedModel
from app.engine.native.model import LoadError
from tests.fakes.tiny_gguf import write_tiny_gguf

pytestmark = pytest.mark.model

REPETITIVE = b"one two three four five six seven eight nine ten " * 6
MARGIN = 0.1
"""Larger batches run other kernels: where the two best tokens are closer than this, either may win."""


def generate(
    loaded: LoadedModel, drafter: Callable[[int, Sampler], Drafter], params: SamplingParams, *, speculate: bool
) -> tuple[Sequence, list[Sampled]]:
    for seq_id in range(loaded.context.n_slots):
        loaded.context.clear(seq_id)
    scheduler = Scheduler(loaded.context, drafter=drafter)
    sequence = Sequence(1, loaded.model.vocab.tokenize(REPETITIVE), params, 2, 0.0, speculate=speculate)
    scheduler.submit(sequence)
    sampled: list[Sampled] = []
    while not scheduler.idle:
        sampled += [h for h in scheduler.step() if isinstance(h, Sampled)]
        assert scheduler.check_integrity() == []
    return sequence, sampled


def assert_same_text(plain: list[Sampled], fast: list[Sampled]) -> None:
    for one, two in zip(plain, fast, strict=False):
        if one.token != two.token:
            (_, best), (_, second) = one.measured.top
            assert best - second < MARGIN
            return


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_n_gram_drafts_are_accepted_and_change_no_token(
    context: NativeContext, loaded: LoadedModel, temperature: float
) -> None:
    params = SamplingParams(temperature=temperature, seed=3, max_tokens=60, ban=("<|im_end|>",))
    _, plain = generate(loaded, lambda seq_id, sampler: NGramDrafter(), params, speculate=False)
    sequence, fast = generate(loaded, lambda seq_id, sampler: NGramDrafter(), params, speculate=True)
    if temperature == 0:
        assert_same_text(plain, fast)
    assert sequence.speculation
    counts = sequence.speculation.counts()
    assert counts.n_accepted == sum(h.origin is Origin.DRAFT for h in fast)
    assert len(fast) == 60


@pytest.mark.parametrize(("temperature", "share"), [(0.0, 0.7), (1.0, 0.9)])
def test_a_model_that_drafts_for_itself_is_nearly_always_right(
    context: NativeContext,
    loaded: LoadedModel,
    smollm2: Path,
    monkeypatch: pytest.MonkeyPatch,
    temperature: float,
    share: float,
) -> None:
    # As slow as its target, it never pays: here it drafts all the same.
    monkeypatch.setattr(Speculation, "_best_length", lambda self, available, *chances: min(available, 7))
    draft = DraftModel(str(smollm2), loaded, LoadOptions(n_ctx=1024))
    params = SamplingParams(temperature=temperature, min_p=0.0, seed=5, max_tokens=40, ban=("<|im_end|>",))
    _, plain = generate(loaded, draft.drafter, params, speculate=False)
    sequence, fast = generate(loaded, draft.drafter, params, speculate=True)
    if not temperature:
        assert_same_text(plain, fast)
    assert sequence.speculation
    counts = sequence.speculation.counts()
    assert counts.n_accepted > share * counts.n_drafted > 0
    assert temperature == 0 or any(each.measured.rank > 1 for each in fast)
    draft.close()


@pytest.mark.parametrize(
    "params",
    [{}, {"top_k": 3, "repeat_penalty": 1.9}, {"mirostat": 2}, {"repeat_penalty": 1.2, "xtc_probability": 0.5}],
)
def test_a_shadow_chooses_what_the_sampler_will(loaded: LoadedModel, params: dict[str, Any]) -> None:
    rng = np.random.default_rng(2)
    rows = [(rng.standard_normal(loaded.context.n_vocab) * 3).astype(np.float32) for _ in range(6)]
    sampler = loaded.context.sampler(SamplingParams(seed=9, temperature=1.2, **params))
    for _ in range(2):  # to close one early changes nothing
        shadow = sampler.shadow()
        guessed = [shadow.choose(row) for row in rows]
        shadow.close()
    assert guessed == [sampler.sample(row) for row in rows]
    assert len(set(guessed)) > 1
    sampler.close()


def test_a_shadow_refuses_logits_that_are_no_numbers(loaded: LoadedModel) -> None:
    sampler = loaded.context.sampler(SamplingParams())
    shadow = sampler.shadow()
    with pytest.raises(ComputeError):
        shadow.choose(np.full(loaded.context.n_vocab, np.nan, np.float32))
    shadow.close()
    shadow.close()
    sampler.close()


def test_a_vocabulary_that_does_not_match_is_refused_with_the_difference(loaded: LoadedModel, tmp_path: Path) -> None:
    other = write_tiny_gguf(tmp_path / "other.gguf")
    with pytest.raises(LoadError):
        DraftModel(str(other), loaded, LoadOptions(n_ctx=512))


def test_what_a_draft_costs_is_measured_again_now_and_then(loaded: LoadedModel, smollm2: Path) -> None:
    draft = DraftModel(str(smollm2), loaded, LoadOptions(n_ctx=256))
    try:
        sampler = loaded.context.sampler(SamplingParams())
        first = draft.drafter(0, sampler)
        first.accept(loaded.model.vocab.tokenize(REPETITIVE + b"one two"))
        assert len(first.draft(3).tokens) == 3
        costs = [draft.drafter(0, sampler).ms_first > 0 for _ in range(8)]
        sampler.close()
    finally:
        draft.close()
    assert costs == [True] * 6 + [False] * 2
