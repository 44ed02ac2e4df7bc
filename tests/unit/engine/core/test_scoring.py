"""Scoring of given tokens: windows, what counts, and every figure, on a model whose logits are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from app.domain.sampling import SamplingParams
from app.engine.core.backend import ComputeError, Decoded
from app.engine.core.events import Finished
from app.engine.core.scheduler import Scheduler
from app.engine.core.scoring import ScoredId, Scoring, check_window
from app.engine.core.sequence import Sequence
from app.engine.core.slots import Checkpoint, SlotState
from tests.fakes.toy_native import ToyBackend

TOKENS = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4]
BOS = 15


def score(
    backend: ToyBackend, tokens: list[int] = TOKENS, bos: int | None = None, n_ctx: int = 8, top_k: int = 2
) -> list[ScoredId]:
    scheduler, scoring = Scheduler(backend), Scoring(backend, tokens, bos, n_ctx, top_k)
    found: list[ScoredId] = []
    while not scoring.done:
        assert scoring.claim(scheduler.slots, scheduler.reuse)
        found += scoring.step()
    scoring.close(scheduler.slots)
    assert scheduler.check_integrity() == []
    assert {slot.state for slot in scheduler.slots.slots} == {SlotState.FREE}
    return found


def expected_p(before: list[int], token: int) -> float:
    logits = -np.arange(16, dtype=np.float64)
    logits[(before[-1] + 1) % 16] = 5.0
    weights = np.exp(logits - logits.max())
    return float(weights[token] / weights.sum())


def test_a_text_is_scored_where_the_logits_are_no_numbers() -> None:
    backend = ToyBackend()
    backend.no_numbers = True
    found = score(backend)
    assert [each.token for each in found] == TOKENS
    assert all(each.measured is not None and math.isnan(each.measured.logprob) for each in found[1:])


def test_each_token_once_in_order_with_its_exact_probability() -> None:
    found = score(ToyBackend())
    assert [each.index for each in found] == list(range(20))
    assert [each.token for each in found] == TOKENS
    assert found[0].measured is None
    for each in found[1:]:
        assert each.measured is not None
        assert each.measured.p == pytest.approx(expected_p(TOKENS[: each.index], each.token), abs=1e-7)
        assert len(each.measured.top) == 2


def test_the_later_half_of_each_whole_window_counts() -> None:
    counted = [each.index for each in score(ToyBackend()) if each.counts]
    assert counted == [5, 6, 7, 13, 14, 15]  # as llama-perplexity: n_ctx - n_ctx // 2 - 1 of each, and not the rest


def test_of_a_text_that_fills_no_window_all_counts_but_its_first_token() -> None:
    found = score(ToyBackend(), TOKENS[:7])
    assert [each.counts for each in found] == [False] + [True] * 6


def test_windows_are_computed_from_nothing_and_begin_with_bos() -> None:
    backend = ToyBackend()
    found = score(backend, [BOS, *TOKENS], bos=BOS)
    fed = [tokens for rows in backend.batches for _, tokens in rows]
    assert fed == [[BOS, *TOKENS[:7]], [BOS, *TOKENS[8:15]], [BOS, *TOKENS[16:19]]]
    # The first token of a window is known from the last row of the one before it.
    measured = found[8].measured
    assert measured is not None
    assert measured.p == pytest.approx(expected_p(TOKENS[:7], TOKENS[7]), abs=1e-7)


def test_a_window_is_cut_into_what_may_have_logits_at_once() -> None:
    backend = ToyBackend(n_slots=1)
    score(backend, [n % 16 for n in range(50)], n_ctx=40)
    assert [len(tokens) for rows in backend.batches for _, tokens in rows] == [16, 16, 8, 9]


@pytest.mark.parametrize("n", [0, 1, 8, 9, 16, 17])
def test_every_length_comes_to_its_end(n: int) -> None:
    assert [each.index for each in score(ToyBackend(), TOKENS[:n])] == list(range(n))


def test_an_abort_of_another_request_computes_the_window_again_and_shows_nothing_twice() -> None:
    backend = ToyBackend(n_slots=1)
    backend.script = [Decoded.DONE, Decoded.ABORTED]
    plain = score(ToyBackend(n_slots=1), n_ctx=20)
    assert [(each.index, each.measured) for each in score(backend, n_ctx=20)] == [
        (each.index, each.measured) for each in plain
    ]
    assert [len(tokens) for rows in backend.batches for _, tokens in rows] == [16, 3, 16, 3]


def test_a_context_made_anew_begins_the_window_again() -> None:
    backend = ToyBackend()
    scheduler, scoring = Scheduler(backend), Scoring(backend, TOKENS, None, 20, 0)
    assert scoring.claim(scheduler.slots, scheduler.reuse)
    found = scoring.step()
    scheduler.fail("another request's decode failed")
    assert backend.n_resets == 1
    while not scoring.done:
        assert scoring.claim(scheduler.slots, scheduler.reuse)
        found += scoring.step()
    assert [each.index for each in found] == list(range(20))


def test_it_waits_while_all_slots_are_in_use() -> None:
    backend = ToyBackend(n_slots=1)
    scheduler, scoring = Scheduler(backend), Scoring(backend, TOKENS, None, 8, 0)
    claimed = scheduler.slots.claim([1])
    assert claimed is not None
    assert not scoring.claim(scheduler.slots, scheduler.reuse)
    scheduler.slots.release(claimed[0])
    assert scoring.claim(scheduler.slots, scheduler.reuse)


def test_a_failure_is_raised() -> None:
    backend = ToyBackend()
    backend.script = [ComputeError("broken")]
    with pytest.raises(ComputeError, match="broken"):
        score(backend)


@pytest.mark.parametrize("n_ctx", [-1, 3, 65])
def test_a_window_must_fit_the_context(n_ctx: int) -> None:
    with pytest.raises(ValueError, match=f"the window must be 4–64 tokens, got {n_ctx}"):
        check_window(n_ctx, 64)


def test_after_a_failure_no_slot_of_a_text_is_given_away() -> None:
    backend = ToyBackend(n_slots=1)
    scheduler, scoring = Scheduler(backend), Scoring(backend, TOKENS, None, 8, 0)
    scheduler.submit(Sequence(1, [1, 2], SamplingParams(max_tokens=9), 0, 0.0))
    scheduler.step()
    scheduler.fail("lost")
    assert scoring.claim(scheduler.slots, scheduler.reuse)
    finished = [happened for happened in scheduler.step() if isinstance(happened, Finished)]
    assert [each.sequence.error for each in finished] == ["lost"]
    assert [slot.state for slot in scheduler.slots.slots] == [SlotState.CLAIMED]


def test_checkpoints_go_with_the_cells_of_a_slot_that_is_emptied() -> None:
    backend = ToyBackend(n_slots=1)
    scheduler, scoring = Scheduler(backend), Scoring(backend, TOKENS, None, 8, 0)
    scheduler.slots.slots[0].checkpoints = [Checkpoint(2, np.zeros(4, np.uint8))]
    scheduler.slots.slots[0].tokens = [1, 2]
    assert scoring.claim(scheduler.slots, scheduler.reuse)
    scoring.step()
    scoring.close(scheduler.slots)
    assert scheduler.slots.slots[0].checkpoints == []
