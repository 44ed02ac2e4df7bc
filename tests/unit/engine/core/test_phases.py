"""What each token reports: its phases by the clock, the drafts that it replaced, the chance of an end."""

from __future__ import annotations

import itertools
import math

import pytest

from app.domain.sampling import SamplingParams
from app.domain.trace import Origin
from app.engine.core.draft import Draft
from app.engine.core.events import Sampled
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import Sequence
from tests.fakes.toy_native import ToyBackend


class Scripted:
    """Drafts what a test gives it."""

    costs_time = False
    ms_first = ms_per_token = 0.0

    def __init__(self, *drafts: list[int]) -> None:
        self.drafts = list(drafts)

    def draft(self, k: int) -> Draft:
        return Draft(self.drafts.pop(0)[:k] if self.drafts else [], 32)

    def accept(self, tokens: object) -> None:
        return


def sample(backend: ToyBackend, drafter: Scripted | None = None, n_prompt: int = 1, **params: object) -> list[Sampled]:
    ticks = itertools.count(1)
    scheduler = Scheduler(backend, lambda: next(ticks) / 1000, lambda seq_id, sampler: drafter or Scripted())
    sampling = SamplingParams(**params)  # type: ignore[arg-type]
    scheduler.submit(Sequence(1, [1] * n_prompt, sampling, 2, 0.0, speculate=drafter is not None))
    sampled: list[Sampled] = []
    while not scheduler.idle:
        sampled += [h for h in scheduler.step() if isinstance(h, Sampled)]
    return sampled


def test_a_token_of_its_own_decode_has_both_phases_and_they_are_parts_of_its_time() -> None:
    sampled = sample(ToyBackend(), max_tokens=4)
    # The toy's clock ticks once a millisecond whenever it is read: batch, decode, decoded; choose, chosen.
    assert [(s.decode_ms, s.sample_ms) for s in sampled[1:]] == [(pytest.approx(2.0), pytest.approx(1.0))] * 3
    assert all(s.decode_ms + s.sample_ms <= s.ms for s in sampled)


def test_the_first_token_counts_the_whole_prefill() -> None:
    (first,) = sample(ToyBackend(n_ctx=200, n_batch=32), n_prompt=70, max_tokens=1)
    assert first.decode_ms == pytest.approx(3 * 2.0)


def test_a_rejected_draft_is_reported_with_the_token_that_came_instead() -> None:
    sampled = sample(ToyBackend(), Scripted([3, 9, 7]), max_tokens=9)[:4]
    assert [(s.token, s.origin) for s in sampled] == [
        (2, Origin.SAMPLED),
        (3, Origin.DRAFT),
        (4, Origin.SAMPLED),
        (5, Origin.SAMPLED),
    ]
    total = math.exp(5) + sum(math.exp(-i) for i in range(16) if i != 4)
    assert [s.ghosts for s in sampled] == [(), (), ((9, pytest.approx(math.exp(-9) / total, rel=1e-4)), (7, 0.0)), ()]
    assert [s.decode_ms > 0 for s in sampled] == [True, True, False, True]


def test_the_token_behind_a_whole_draft_is_a_bonus() -> None:
    sampled = sample(ToyBackend(), Scripted([3]), max_tokens=5)
    assert [s.origin for s in sampled[:4]] == [Origin.SAMPLED, Origin.DRAFT, Origin.BONUS, Origin.SAMPLED]
    assert [s.ghosts for s in sampled] == [()] * 5


def test_the_chance_of_an_end_is_that_of_its_tokens_together() -> None:
    backend = ToyBackend()
    backend.eog = frozenset({0, 2})
    (first,) = sample(backend, force=("#1",), max_tokens=1)
    total = math.exp(5) + sum(math.exp(-i) for i in range(16) if i != 2)
    assert first.measured.p_end == pytest.approx((math.exp(5) + 1) / total, rel=1e-6)
    assert first.origin is Origin.FORCED


def test_nothing_is_drafted_while_tokens_are_forced() -> None:
    backend = ToyBackend()
    sample(backend, Scripted([3], [3]), force=("#5", "#6", "#7"), max_tokens=6)
    assert [len(rows[0][1]) for rows in backend.batches][:3] == [1, 3, 2]
