"""Sets of adapters in the loop: one at a time in a context, and cells of one set are nothing to another."""

from __future__ import annotations

from app.domain.generation import FinishReason
from app.domain.sampling import SamplingParams
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import Sequence, SequencePhase
from tests.fakes.toy_native import ToyBackend

PROMPT = [1, 2, 3, 4, 5, 6]


def request(request_id: int, lora: dict[str, float] | None = None, max_tokens: int = 3) -> Sequence:
    return Sequence(request_id, list(PROMPT), SamplingParams(max_tokens=max_tokens, lora=lora), 0, 0.0)


def run(scheduler: Scheduler, *sequences: Sequence) -> None:
    for sequence in sequences:
        scheduler.submit(sequence)
    while not scheduler.idle:
        scheduler.step()
    assert scheduler.check_integrity() == []


def toy(n_slots: int = 2) -> ToyBackend:
    return ToyBackend(lambda tokens: 3, n_slots=n_slots)


def test_another_set_waits_until_the_first_is_done_and_those_behind_it_keep_their_turn() -> None:
    backend = toy(n_slots=3)
    one, two, again = request(1, {"a": 1.0}), request(2, {"a": 0.5}), request(3, {"a": 1.0})
    scheduler = Scheduler(backend)
    for sequence in (one, two, again):
        scheduler.submit(sequence)
    scheduler.step()
    assert [each.phase for each in (one, two, again)] == [
        SequencePhase.DECODE,
        SequencePhase.WAITING,
        SequencePhase.WAITING,
    ]
    run(scheduler)
    assert backend.computed_with == [(("a", 1.0),)] * 3 + [(("a", 0.5),)] * 3 + [(("a", 1.0),)] * 3
    assert [each.finish_reason for each in (one, two, again)] == [FinishReason.LENGTH] * 3


def test_requests_of_one_set_run_together() -> None:
    backend = toy()
    run(Scheduler(backend), request(1, {"a": 1.0, "b": 0.0}), request(2, {"a": 1.0}))
    assert len(backend.batches) == 3


def test_cells_are_reused_under_the_same_set_alone() -> None:
    backend = toy(n_slots=1)
    scheduler = Scheduler(backend)
    plain, again, other, back = request(1), request(2), request(3, {"a": 1.0}), request(4)
    for sequence in (plain, again, other, back):
        run(scheduler, sequence)
    assert [each.cache.n_cached for each in (plain, again, other, back)] == [0, 5, 0, 0]
    assert backend.cells[0] == [*PROMPT, 3, 3]


def test_both_sets_stay_where_there_are_slots_for_them() -> None:
    scheduler = Scheduler(toy())
    run(scheduler, request(1))
    run(scheduler, request(2, {"a": 1.0}))
    plain, tuned = request(3), request(4, {"a": 1.0})
    run(scheduler, plain)
    run(scheduler, tuned)
    assert (plain.cache.n_cached, tuned.cache.n_cached) == (5, 5)


def test_the_models_own_set_is_the_one_without_a_word() -> None:
    backend = toy()
    backend.own_adapters = (("a", 0.5),)
    scheduler = Scheduler(backend)
    run(scheduler, request(1))
    same, off = request(2, {"a": 0.5}), request(3, {})
    run(scheduler, same)
    run(scheduler, off)
    assert (same.cache.n_cached, off.cache.n_cached) == (5, 0)
    assert backend.computed_with[-1] == ()


def test_in_one_pool_nothing_is_shared_between_sets() -> None:
    backend = ToyBackend(lambda tokens: 3, n_slots=3, unified=True)
    scheduler = Scheduler(backend)
    first, second, third = request(1), request(2, {"a": 1.0}), request(3, {"a": 1.0})
    run(scheduler, first, second, third)
    assert (first.cache.n_cached, second.cache.n_cached, third.cache.n_cached) == (0, 0, 5)


def test_a_name_that_is_none_ends_its_request_only() -> None:
    scheduler = Scheduler(toy())
    wrong, right = request(1, {"nowhere": 1.0}), request(2)
    run(scheduler, wrong, right)
    assert (wrong.finish_reason, wrong.error) == (
        FinishReason.ERROR,
        "the model has no adapter `nowhere`: it has none",
    )
    assert right.finish_reason is FinishReason.LENGTH
