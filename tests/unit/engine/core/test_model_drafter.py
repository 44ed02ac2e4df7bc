"""The draft model follows the sequence through accepted and rejected drafts."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from app.domain.sampling import SamplingParams
from app.engine.core.backend import ComputeError, Decoded
from app.engine.core.draft import MODEL, Draft
from app.engine.core.model_drafter import ModelDrafter
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import Sequence
from app.engine.core.speculation import CostCurve, Speculation
from tests.fakes.toy_native import ToyBackend


def drafter(backend: ToyBackend, n_vocab: int = 16) -> ModelDrafter:
    return ModelDrafter(backend, 0, [], n_vocab)


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
        drafter=lambda seq_id: ModelDrafter(draft_backend, seq_id, cells, 16, clock=lambda: next(quick) / 1e5),
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

    ms_per_token = 10.0

    def __init__(self) -> None:
        self.n_asked = 0

    def accept(self, tokens: object) -> None:
        return

    def draft(self, k: int) -> Draft:
        self.n_asked += 1
        return Draft([1] * k, MODEL)


def test_a_drafter_that_cannot_pay_is_never_asked_again() -> None:
    costs, drafter = CostCurve(), Costly()
    costs.measured(1, 10.0)
    speculation = Speculation(drafter, costs)
    for _ in range(500):
        assert speculation.propose(15) == []
        speculation.verified([], [1])
    assert drafter.n_asked == 0
