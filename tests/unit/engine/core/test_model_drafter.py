"""The draft model follows the sequence through accepted and rejected drafts."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from app.domain.sampling import SamplingParams
from app.engine.core.backend import ComputeError, Decoded, Sampler
from app.engine.core.costs import CostCurve
from app.engine.core.draft import MODEL, Draft
from app.engine.core.model_drafter import ModelDrafter
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import Sequence
from app.engine.core.speculation import Speculation
from app.engine.core.tuning import DecodeTuner
from tests.fakes.toy_native import EOG, ToyBackend, ToySampler


def drafter(backend: ToyBackend, n_vocab: int = 16) -> ModelDrafter:
    return ModelDrafter(backend, 0, ToySampler(SamplingParams()), [], n_vocab)


def test_it_drafts_what_its_model_says() -> None:
    backend = ToyBackend()
    model = drafter(backend)
    model.accept([3, 4])
    assert model.draft(4).tokens == [5, 6, 7, 8]
    assert backend.cells[0] == [3, 4, 5, 6, 7]


def test_a_rejected_draft_gives_up_only_its_own_cells() -> None:
    backend = ToyBackend()
    model = drafter(backend)
    model.accept([3, 4])
    model.draft(4)
    model.accept([5, 9])
    assert model.draft(2).tokens == [10, 11]
    assert backend.cells[0] == [3, 4, 5, 9, 10]
    assert backend.batches[-2] == [(0, [9])]


def test_a_long_prompt_is_caught_up_over_several_steps() -> None:
    backend = ToyBackend(n_ctx=400, n_batch=32)
    model = drafter(backend)
    model.accept([1] * 80)
    assert [model.draft(2).tokens for _ in range(3)] == [[], [], [2, 3]]


def test_tokens_that_the_target_does_not_have_are_not_proposed() -> None:
    model = drafter(ToyBackend(), n_vocab=7)
    model.accept([4])
    assert model.draft(6).tokens == [5, 6]


@pytest.mark.parametrize("trouble", [Decoded.ABORTED, Decoded.NO_SLOT, ComputeError("lost")])
def test_trouble_means_no_draft_and_a_fresh_start(trouble: Decoded | ComputeError) -> None:
    backend = ToyBackend()
    backend.script = [trouble]
    model = drafter(backend)
    model.accept([3, 4])
    assert model.draft(2).tokens == []
    assert model.draft(2).tokens == [5, 6]


def test_an_abort_of_another_request_keeps_what_was_read() -> None:
    backend = ToyBackend()
    model = drafter(backend)
    model.accept([3, 4])
    model.draft(1)
    model.accept([5])
    backend.script = [Decoded.ABORTED]
    assert model.draft(1).tokens == []
    assert model.draft(1).tokens == [6]
    assert backend.batches[-1] == [(0, [5])]


def test_nothing_is_computed_after_the_end_of_the_reply() -> None:
    backend = ToyBackend()
    model = drafter(backend)
    model.accept([12, 13])
    assert model.draft(5).tokens == [14, 15, EOG]
    assert backend.cells[0] == [12, 13, 14, 15]


def test_a_draft_that_was_never_verified_teaches_nothing() -> None:
    model = drafter(ToyBackend(lambda tokens: 1 + tokens[-1] % 15, n_ctx=400, n_batch=64))
    tokens = [3]
    model.accept(tokens)
    for _ in range(30):
        model.draft(3)
        drafted = model.draft(3).tokens
        new = [*drafted, 1 + drafted[-1] % 15]
        tokens += new
        model.accept(new)
    assert len(model.draft(12).tokens) == 12


def test_a_full_window_is_not_passed() -> None:
    model = drafter(ToyBackend(n_ctx=8))
    model.accept([1] * 6)
    assert model.draft(4).tokens == []


@pytest.mark.parametrize("wrong_every", [2, 3, 1000])
def test_the_text_is_the_targets_own(wrong_every: int) -> None:
    def target(tokens: list[int]) -> int:
        return 1 + (len(tokens) * 7) % 13

    def small(tokens: list[int]) -> int:
        return 14 if len(tokens) % wrong_every == 0 else target(tokens)

    plain, fast = generate(target, small, speculate=False), generate(target, small, speculate=True)
    assert fast.generated == plain.generated
    assert fast.speculation is not None
    assert fast.speculation.counts().n_accepted > 0


def generate(target: Callable[[list[int]], int], small: Callable[[list[int]], int], *, speculate: bool) -> Sequence:
    backend, draft_backend = ToyBackend(target, n_ctx=256), ToyBackend(small, n_ctx=256)
    cells: list[int] = []
    slow, quick = itertools.count(1), itertools.count(1)
    scheduler = Scheduler(
        backend,
        clock=lambda: next(slow) / 1e3,
        drafter=lambda seq_id, sampler: ModelDrafter(
            draft_backend, seq_id, sampler, cells, 16, clock=lambda: next(quick) / 1e5
        ),
    )
    sequence = Sequence(1, [1, 2, 3], SamplingParams(max_tokens=100), 0, 0.0, speculate=speculate)
    scheduler.submit(sequence)
    while not scheduler.idle:
        scheduler.step()
        assert scheduler.check_integrity() == []
        assert draft_backend.cells[0] == cells
    return sequence


class Costly:
    """Always right, and as slow as the model that it drafts for."""

    costs_time = True
    ms_first = ms_per_token = 10.0

    def __init__(self) -> None:
        self.n_asked = 0

    def accept(self, tokens: object) -> None:
        return

    def draft(self, k: int) -> Draft:
        self.n_asked += 1
        return Draft([1] * k, MODEL)


MS_OF_ROWS = {
    "f32": {1: 16.5, 2: 19.9, 4: 22.0, 8: 28.0, 16: 41.0, 32: 55.0},
    "q4": {1: 7.0, 2: 13.5, 4: 21.5, 8: 33.0, 16: 56.0, 32: 100.0},
}
"""Milliseconds of a decode by its rows, as measured on two cores; the draft model is the `q4` one."""


class Timed(ToyBackend):
    """Takes as long as its table says, on a clock that it shares with the other model."""

    def __init__(self, now_s: list[float], kind: str, next_token: Callable[[list[int]], int]) -> None:
        super().__init__(next_token, n_ctx=600, n_batch=64)
        self._now_s, self._table = now_s, MS_OF_ROWS[kind]
        self.n_rows: Counter[int] = Counter()

    def decode(self) -> Decoded:
        self.n_rows[self.batch.n] += 1
        self._now_s[0] += np.interp(self.batch.n, list(self._table), list(self._table.values())) / 1e3
        return super().decode()


def gain(kind: str, wrong_every: int, n_requests: int = 1) -> tuple[float, Timed]:
    """How many times faster 256 tokens come with a draft model than without, and the draft model.

    `n_requests`: how many replies there are, of which the last one is looked at.
    """

    def target(tokens: list[int]) -> int:
        return 1 + (len(tokens) * 7) % 13

    def small(tokens: list[int]) -> int:
        return 14 if wrong_every and (len(tokens) * 2654435761 >> 7) % wrong_every == 0 else target(tokens)

    seconds: list[float] = []
    for speculate in (False, True):
        now_s, cells = [0.0], list[int]()
        backend, draft = Timed(now_s, kind, target), Timed(now_s, "q4", small)

        def clock(now_s: list[float] = now_s) -> float:
            return now_s[0]

        pace = DecodeTuner(draft)

        def drafter(
            seq_id: int,
            sampler: Sampler,
            draft: Timed = draft,
            cells: list[int] = cells,
            clock: Callable[[], float] = clock,
            pace: DecodeTuner = pace,
        ) -> ModelDrafter:
            return ModelDrafter(draft, seq_id, sampler, cells, 16, clock, pace)

        scheduler = Scheduler(backend, clock, drafter)
        for number in range(n_requests):
            draft.n_rows.clear()
            params = SamplingParams(max_tokens=256)
            sequence = Sequence(number, [1] * 18, params, 0, 0.0, speculate=speculate)
            scheduler.submit(sequence)
            while not scheduler.idle:
                scheduler.step()
        times_s = sequence.clock.token_times_s
        seconds.append(times_s[-1] - times_s[0])
    return seconds[0] / seconds[1], draft


def test_a_draft_model_that_is_nearly_always_right_pays_where_rows_are_cheap() -> None:
    assert gain("f32", wrong_every=0)[0] > 1.6
    assert gain("f32", wrong_every=20)[0] > 1.25


@pytest.mark.parametrize("wrong_every", [0, 10, 5, 2])
def test_a_draft_model_as_slow_as_its_target_is_found_out_and_not_asked_by_the_next_request(wrong_every: int) -> None:
    found, draft = gain("q4", wrong_every)
    assert found > 0.94
    assert sum(draft.n_rows.values()) <= 5
    found, draft = gain("q4", wrong_every, n_requests=2)
    assert found == pytest.approx(1.0)
    assert not draft.n_rows


@pytest.mark.parametrize("wrong_every", [5, 3, 2])
def test_a_draft_model_that_is_often_wrong_costs_little(wrong_every: int) -> None:
    assert gain("f32", wrong_every)[0] > 0.95


def test_a_cost_of_a_bad_moment_is_forgotten_where_drafts_are_short() -> None:
    now_s = [0.0]
    draft = Timed(now_s, "q4", lambda tokens: 1 + tokens[-1] % 15)
    model = ModelDrafter(draft, 0, ToySampler(SamplingParams()), [], 16, lambda: now_s[0])
    model.accept([1])
    model.ms_per_token = 100.0
    for _ in range(20):
        drafted = model.draft(1).tokens
        model.accept([*drafted, 1 + drafted[-1] % 15])
    assert model.ms_per_token < 8


def test_a_drafter_that_costs_time_waits_for_the_cost_of_a_plain_step_and_lets_one_through_now_and_then() -> None:
    costs, drafter = CostCurve(), Costly()
    drafter.ms_first = drafter.ms_per_token = 0.1
    speculation = Speculation(drafter, costs)
    assert speculation.propose(15) == []
    costs.measured(1, 10.0)
    costs.measured(16, 20.0)
    lengths = [len(speculation.propose(15)) for _ in range(50)]
    assert [number for number, length in enumerate(lengths) if not length] == [4, 11, 20, 31, 44]


def test_a_drafter_that_cannot_pay_is_never_asked_again() -> None:
    costs, drafter = CostCurve(), Costly()
    costs.measured(1, 10.0)
    speculation = Speculation(drafter, costs)
    for _ in range(500):
        assert speculation.propose(15) == []
        speculation.verified([], [1])
    assert drafter.n_asked == 0
