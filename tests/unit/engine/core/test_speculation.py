"""Speculation: lossless whatever is drafted, learning from what is accepted, off where it does not pay."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.generation import FinishReason
from app.domain.sampling import SamplingParams
from app.domain.trace import Origin
from app.engine.core.costs import CostCurve
from app.engine.core.draft import NGramDrafter
from app.engine.core.events import Sampled
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import Sequence
from app.engine.core.speculation import Speculation
from tests.fakes.toy_native import EOG, ToyBackend


def generate(
    next_token: Callable[[list[int]], int], prompt: list[int], n: int, *, speculate: bool, n_vocab: int = 16
) -> tuple[Sequence, ToyBackend, list[Sampled]]:
    backend = ToyBackend(next_token, n_ctx=512, n_vocab=n_vocab)
    ticks = itertools.count(1)
    scheduler = Scheduler(backend, clock=lambda: next(ticks) / 1000)
    sequence = Sequence(1, prompt, SamplingParams(max_tokens=n), 0, 0.0, speculate=speculate)
    scheduler.submit(sequence)
    sampled: list[Sampled] = []
    while not scheduler.idle:
        sampled += [h for h in scheduler.step() if isinstance(h, Sampled)]
        assert scheduler.check_integrity() == []
    return sequence, backend, sampled


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(0, 2**16), st.integers(1, 90))
def test_the_text_is_that_of_plain_decoding(period: int, salt: int, n: int) -> None:
    def next_token(tokens: list[int]) -> int:
        noisy = (len(tokens) * 2654435761 + salt) % 7 == 0
        return 1 + (len(tokens) % period + noisy) % 15

    plain, _, _ = generate(next_token, [3, 4], n, speculate=False)
    fast, _, _ = generate(next_token, [3, 4], n, speculate=True)
    assert fast.generated == plain.generated
    assert fast.finish_reason is plain.finish_reason is FinishReason.LENGTH


def test_a_repeating_text_takes_fewer_decodes_and_says_where_tokens_came_from() -> None:
    sequence, backend, sampled = generate(lambda tokens: 1 + len(tokens) % 5, [1], 200, speculate=True)
    assert len(backend.batches) < 100
    assert sequence.speculation
    stats = sequence.speculation.counts()
    assert stats.n_accepted == sum(s.origin is Origin.DRAFT for s in sampled) > 100
    assert stats.n_drafted >= stats.n_accepted
    assert sum(stats.accepted_at) == stats.n_accepted
    assert stats.drafted_at[0] == stats.n_steps


def test_nothing_is_drafted_after_the_end_of_the_reply() -> None:
    line = [*range(1, 64), EOG]
    sequence, _, _ = generate(lambda tokens: (tokens[-1] + 1) % 64, [*line, *line, 1], 100, speculate=True, n_vocab=64)
    assert sequence.finish_reason is FinishReason.STOP
    assert sequence.speculation
    assert sequence.speculation.n_drafted == sequence.speculation.n_accepted > 20


def test_it_never_passes_the_context_window() -> None:
    backend = ToyBackend(lambda tokens: 1 + len(tokens) % 3, n_ctx=40)
    scheduler = Scheduler(backend)
    sequence = Sequence(1, [1], SamplingParams(), 0, 0.0, speculate=True)
    scheduler.submit(sequence)
    while not scheduler.idle:
        scheduler.step()
    assert sequence.finish_reason is FinishReason.CONTEXT
    assert len(backend.cells[0]) == 40


def test_the_latest_occurrence_is_proposed() -> None:
    drafter = NGramDrafter()
    drafter.accept([1, 2, 9, 1, 2, 8, 1, 2])
    assert drafter.draft(3).tokens == [8, 1, 2]


def test_nothing_is_proposed_without_a_match() -> None:
    drafter = NGramDrafter()
    drafter.accept([1, 2, 3, 4, 5])
    assert drafter.draft(3).tokens == []


def test_a_longer_match_is_more_confident() -> None:
    short, long = NGramDrafter(), NGramDrafter()
    short.accept([7, 1, 2, 5, 9, 1, 2])
    long.accept([*range(20), 99, *range(20)])
    assert short.draft(1).confidence < long.draft(1).confidence


@pytest.mark.parametrize(
    ("text", "draft"),
    [
        ([9, 1, 2, 3, 1, 2, 3, 1, 2, 3], [1, 2, 3, 1, 2, 3, 1, 2]),
        ([9, 5, 5, 5, 5, 5], [5] * 8),
        ([1, 2, 3, 4, 8, 1, 2], [3, 4, 8, 1, 2]),
    ],
)
def test_a_text_that_goes_round_is_drafted_beyond_its_end(text: list[int], draft: list[int]) -> None:
    drafter = NGramDrafter()
    drafter.accept(text)
    assert drafter.draft(8).tokens == draft


@pytest.mark.parametrize(("slope", "drafts"), [(0.05, True), (0.95, False)])
def test_it_drafts_only_where_the_machine_makes_it_pay(slope: float, drafts: bool) -> None:
    costs = CostCurve()
    for n in (1, 2, 4, 8, 16):
        costs.measured(n, 10 * (1 + slope * (n - 1)))
    rng = random.Random(5)
    text = [1, 2, 3, 4] * 8
    speculation = Speculation(NGramDrafter(), costs)
    speculation.begin(text)
    used = 0
    for _ in range(200):
        drafted = speculation.propose(15)
        used += bool(drafted)
        n_right = 0
        while n_right < len(drafted) and rng.random() < 0.6:
            n_right += 1
        speculation.verified(drafted, [*drafted[:n_right], 1 + rng.randrange(4)])
    assert bool(used > 5) is drafts


@pytest.mark.parametrize(("slope", "n_tried"), [(0.1, 50), (0.95, 5)])
def test_costs_measured_in_a_bad_moment_are_doubted(slope: float, n_tried: int) -> None:
    costs = CostCurve()
    costs.measured(1, 10)
    costs.prefilled(512, 512 * 10 * 20)
    speculation = Speculation(NGramDrafter(), costs)
    speculation.begin([1, 2, 3, 4] * 8)
    used, token = 0, 0
    for _ in range(300):
        drafted = speculation.propose(15)
        used += bool(drafted)
        if drafted:
            costs.measured(1 + len(drafted), 10 * (1 + slope * len(drafted)))
        sampled = [1 + (token + i) % 4 for i in range(len(drafted) + 1)]
        token += len(sampled)
        speculation.verified(drafted, sampled)
    assert used > n_tried if slope < 0.5 else 0 < used <= n_tried


def test_an_accepted_draft_that_ends_the_reply_is_counted_and_a_failed_choice_counts_nothing() -> None:
    speculation = Speculation(NGramDrafter(), CostCurve())
    speculation.verified([4, 2], [4, 2])
    speculation.verified([4, 5], [])
    assert (speculation.n_drafted, speculation.n_accepted) == (4, 2)
    assert speculation.counts().accepted_at[:2] == (1, 1)
