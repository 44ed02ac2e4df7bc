"""A prefix is computed once, whoever needs it and whenever it comes; a state that lacks cells is not used."""

from __future__ import annotations

import pytest

from app.domain.generation import FinishReason
from app.domain.sampling import SamplingParams
from app.engine.core.backend import ComputeError, Decoded
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import CacheFacts, Sequence, SequencePhase
from tests.fakes.toy_native import ToyBackend
from tests.unit.engine.core.test_reuse import MemoryArchive

SYSTEM = [1 + i % 14 for i in range(200)]
WINDOW = 20


def toy(n_slots: int = 4, *, unified: bool = False, n_window: int = 0, n_batch: int = 64) -> ToyBackend:
    return ToyBackend(
        lambda tokens: 3, n_ctx=1000, n_batch=n_batch, n_slots=n_slots, unified=unified, n_window=n_window
    )


def request(
    prompt: list[int], request_id: int = 1, conversation: int = 0, *, cacheable: bool = True, **params: object
) -> Sequence:
    sampling = SamplingParams(**{"max_tokens": 2, **params})  # type: ignore[arg-type]
    return Sequence(
        request_id, prompt, sampling, 0, 0.0, cache=CacheFacts(cacheable=cacheable, conversation=conversation)
    )


def run(*schedulers: Scheduler, submitted: tuple[Sequence, ...] = ()) -> None:
    """Submits to the first one and turns all until they rest."""
    for sequence in submitted:
        schedulers[0].submit(sequence)
    while not all(scheduler.idle for scheduler in schedulers):
        for scheduler in schedulers:
            scheduler.step()
    for scheduler in schedulers:
        assert scheduler.check_integrity() == []


def n_computed(backend: ToyBackend) -> int:
    return sum(len(tokens) for batch in backend.batches for _, tokens in batch)


@pytest.mark.parametrize("n_window", [0, WINDOW])
@pytest.mark.parametrize("unified", [False, True])
def test_requests_that_come_together_compute_their_common_beginning_once(unified: bool, n_window: int) -> None:
    backend = toy(unified=unified, n_window=n_window)
    asked = tuple(request([*SYSTEM, 15, i], i) for i in range(4))
    run(Scheduler(backend), submitted=asked)
    assert [each.cache.n_cached for each in asked] == [0, 201, 201, 201]
    assert n_computed(backend) == 202 + 3 + 4  # each is asked for two tokens: one more decode
    assert all(each.generated == [3, 3] for each in asked)


def test_one_that_comes_in_the_middle_waits_for_the_rest() -> None:
    backend = toy()
    scheduler = Scheduler(backend)
    first, second = request([*SYSTEM, 15]), request([*SYSTEM, 14, 15], 2)
    scheduler.submit(first)
    scheduler.step()
    assert first.n_past == 64
    scheduler.submit(second)
    scheduler.step()
    assert (second.phase, scheduler.idle) == (SequencePhase.WAITING, False)
    run(scheduler)
    assert (second.cache.n_cached, second.cache.n_shared) == (200, 200)
    assert n_computed(backend) == 201 + 2 + 2


def test_what_one_that_is_aborted_has_computed_serves_those_that_waited() -> None:
    backend = toy()
    scheduler = Scheduler(backend)
    first, second, third = (request([*SYSTEM, i], i) for i in (13, 14, 15))
    for each in (first, second, third):
        scheduler.submit(each)
    scheduler.step()
    scheduler.step()
    first.finish(FinishReason.ABORT)
    run(scheduler)
    assert (second.cache.n_cached, third.cache.n_cached) == (128, 200)
    assert n_computed(backend) == 128 + (73 + 1) + (1 + 1)


def test_a_backend_that_fails_leaves_nobody_waiting() -> None:
    backend = toy()
    scheduler = Scheduler(backend)
    backend.script = [Decoded.DONE, ComputeError("the driver is gone")]
    asked = tuple(request([*SYSTEM, i], i) for i in (13, 14, 15))
    run(scheduler, submitted=asked)
    assert [each.error for each in asked] == ["the driver is gone", "", ""]
    assert [each.cache.n_cached for each in asked[1:]] == [0, 200]


def test_an_unrelated_request_passes_those_that_wait_while_there_are_slots_for_all() -> None:
    backend = toy(n_slots=3)
    scheduler = Scheduler(backend)
    asked = [request([*SYSTEM, 13], 1), request([*SYSTEM, 14], 2), request([15] * 5, 3), request([14] * 5, 4)]
    for each in asked:
        scheduler.submit(each)
    scheduler.step()
    assert [each.phase for each in asked] == [
        SequencePhase.PREFILL,
        SequencePhase.WAITING,
        SequencePhase.PREFILL,
        SequencePhase.WAITING,
    ]
    run(scheduler)
    assert [len(each.generated) for each in asked] == [2] * 4


def test_an_exact_request_waits_for_no_prefix_and_gives_none_before_it_ends() -> None:
    backend = toy()
    scheduler = Scheduler(backend)
    exact, other = request([*SYSTEM, 13], exact=True), request([*SYSTEM, 14], 2)
    run(scheduler, submitted=(exact, other))
    again = request([*SYSTEM, 14], 3, exact=True)
    run(scheduler, submitted=(again,))
    assert (exact.cache.n_cached, other.cache.n_cached, again.cache.n_cached) == (0, 200, 0)
    assert all(len(batch) == 1 for batch in backend.batches)


def test_cells_of_other_adapters_are_neither_waited_for_nor_copied() -> None:
    backend = toy()
    plain, adapted = request([*SYSTEM, 13]), request([*SYSTEM, 14], 2, lora={"a": 1.0})
    run(Scheduler(backend), submitted=(plain, adapted))
    assert adapted.cache.n_cached == 0


def beside(n_window: int = 0) -> tuple[Scheduler, Scheduler, ToyBackend, ToyBackend]:
    one, pool = toy(n_slots=2, n_window=n_window), toy(n_slots=6, unified=True, n_window=n_window)
    main, branches = Scheduler(one), Scheduler(pool)
    branches.reuse.link_peer(main.reuse)
    return main, branches, one, pool


@pytest.mark.parametrize("n_window", [0, WINDOW])
def test_branches_wait_for_what_the_conversation_is_computing(n_window: int) -> None:
    main, branches, one, pool = beside(n_window)
    first = request([*SYSTEM, 13, 14], conversation=1)
    main.submit(first)
    main.step()
    others = [request([*SYSTEM, 13, 15], i, conversation=1) for i in (2, 3)]
    for each in others:
        branches.submit(each)
    run(main, branches)
    assert [each.cache.n_cached for each in others] == [201, 201]
    assert n_computed(one) + n_computed(pool) == 202 + 1 + 2 * 2


@pytest.mark.parametrize("n_window", [0, WINDOW])
def test_branches_of_a_finished_reply_begin_with_its_prompt(n_window: int) -> None:
    main, branches, _, _ = beside(n_window)
    prompt = [*SYSTEM, 13, 14]
    run(main, submitted=(request(prompt, conversation=1, max_tokens=30),))
    others = [request(prompt, i, conversation=1, max_tokens=80) for i in (2, 3)]
    for each in others:
        branches.submit(each)
    run(branches)
    assert [each.cache.n_cached for each in others] == [201, 201]
    follow_up = request([*prompt, *others[1].generated[:-1], 9], 4, conversation=1)
    run(main, submitted=(follow_up,))
    assert follow_up.cache.n_cached == 202 + 79


def test_a_new_chat_takes_a_free_slot_and_copies_the_system_prompt_there() -> None:
    backend = toy(n_slots=2)
    scheduler = Scheduler(backend)
    run(scheduler, submitted=(older := request([*SYSTEM, *[15] * 60], conversation=1),))
    run(scheduler, submitted=(newer := request([*SYSTEM, 14, 13], 2, conversation=2),))
    assert (newer.cache.n_cached, newer.cache.n_shared) == (200, 200)
    run(scheduler, submitted=(follow_up := request([*older.prompt, 3, 7, 7], 3, conversation=1),))
    assert follow_up.cache.n_cached == 261


def test_a_reply_again_and_an_edit_stay_in_the_slot_of_their_conversation() -> None:
    backend = toy(n_slots=2)
    scheduler = Scheduler(backend)
    run(scheduler, submitted=(request([*SYSTEM, 15], conversation=1, max_tokens=40),))
    run(scheduler, submitted=(again := request([*SYSTEM, 15], 2, conversation=1, max_tokens=40),))
    run(scheduler, submitted=(edited := request([*SYSTEM[:190], 15, 15], 3, conversation=1),))
    assert (again.cache.n_cached, edited.cache.n_cached) == (200, 190)
    assert backend.cells[1] == []


def test_of_the_slots_that_are_taken_the_one_used_longest_ago_is_given_up() -> None:
    backend = toy(n_slots=2)
    scheduler = Scheduler(backend)
    for i, prompt in enumerate(([15] * 40, [14] * 40, [15] * 50, [13] * 40)):
        run(scheduler, submitted=(request(prompt, i, conversation=prompt[0]),))
    assert [cells[0] for cells in (backend.cells[0], backend.cells[1])] == [15, 13]


def test_a_state_with_holes_is_used_to_its_end_or_not_at_all() -> None:
    archive = MemoryArchive()
    run(
        Scheduler(toy(1, n_window=WINDOW), archive=archive),
        submitted=(a := request([*SYSTEM, *SYSTEM]), request([15] * 300, 2)),
    )
    assert len(archive.entries) == 1
    prompt = [*a.prompt, 3]
    for asked, n_cached in (([*prompt, 9], 401), ([*prompt[:400], 9], 400), ([*prompt[:390], 9], 0)):
        scheduler = Scheduler(toy(1, n_window=WINDOW), archive=archive)
        run(scheduler, submitted=(each := request(asked, 3),))
        assert each.cache.n_cached == n_cached
    run(scheduler, submitted=(edited := request([*prompt[:300], 9, 9, 9], 4),))
    assert edited.cache.n_cached == 300, "what it computed itself is whole"


def test_a_slot_that_was_filled_from_a_state_with_holes_is_not_cut_below_its_end() -> None:
    archive = MemoryArchive()
    run(
        Scheduler(toy(1, n_window=WINDOW), archive=archive),
        submitted=(a := request([*SYSTEM, *SYSTEM]), request([15] * 300, 2)),
    )
    scheduler = Scheduler(toy(2, n_window=WINDOW), archive=archive)
    run(scheduler, submitted=(restored := request([*a.prompt, 3, 9], 3, conversation=1, max_tokens=30),))
    assert restored.cache.n_restored == 401
    run(scheduler, submitted=(again := request(restored.prompt, 4, conversation=1, max_tokens=4),))
    run(scheduler, submitted=(fork := request([*a.prompt[:350], 8, 8, 8, 8], 5, conversation=2),))
    run(scheduler, submitted=(edited := request([*a.prompt[:380], 8], 6, conversation=1),))
    assert (again.cache.n_cached, fork.cache.n_cached, edited.cache.n_cached) == (401, 0, 350)


def test_a_short_state_has_no_holes() -> None:
    archive = MemoryArchive()
    backend = toy(1, n_window=1000)
    run(Scheduler(backend, archive=archive), submitted=(request([*SYSTEM, *SYSTEM[:100]]), request([15] * 300, 2)))
    scheduler = Scheduler(toy(1, n_window=1000), archive=archive)
    run(scheduler, submitted=(fork := request([*SYSTEM, *SYSTEM[:80], 9], 3),))
    assert fork.cache.n_restored == 280


def test_a_model_that_cannot_be_cut_shares_where_the_other_stops_for_it() -> None:
    backend = toy()
    backend.partial_removal = False
    asked = tuple(request([*SYSTEM, 15, i, i], i) for i in (1, 2, 3))
    run(Scheduler(backend), submitted=asked)
    assert [each.cache.n_cached for each in asked] == [0, 201, 201]
    assert all(each.generated == [3, 3] for each in asked)


def test_a_system_prompt_from_a_private_conversation_makes_none_private() -> None:
    archive, scheduler = MemoryArchive(), None
    scheduler = Scheduler(toy(), archive=archive)
    run(scheduler, submitted=(request([*SYSTEM, *[15] * 100], cacheable=False),))
    public = request([*SYSTEM, *[14] * 100], 2)
    public.spans = type(public.spans)(200, 0, 100)
    run(scheduler, submitted=(public,))
    scheduler.reuse.keep_all(float("inf"))
    assert public.cache.n_shared == 200
    assert [entry.tokens[:300] for entry in archive.entries] == [public.prompt]


def test_rows_of_one_decode_are_in_the_order_of_their_streams() -> None:
    backend = toy(n_slots=3)
    scheduler = Scheduler(backend)
    late = request([15] * 5, 1, max_tokens=9)
    run(scheduler, submitted=(request([13] * 5, 0),))
    for each in (late, request([14] * 5, 2, max_tokens=9), request([13] * 5, 3, max_tokens=9)):
        scheduler.submit(each)
    while not scheduler.idle:
        scheduler.step()
    assert all([seq_id for seq_id, _ in batch] == sorted(seq_id for seq_id, _ in batch) for batch in backend.batches)
    assert [seq_id for seq_id, _ in backend.batches[-1]] == [0, 1, 2]


def test_a_slot_whose_cells_are_still_to_be_copied_is_given_to_nobody_before_the_decode() -> None:
    archive = MemoryArchive()
    backend = toy(2, n_window=WINDOW)
    scheduler = Scheduler(backend, archive=archive)
    other = [15 - i % 14 for i in range(300)]
    run(Scheduler(toy(1), archive=archive), submitted=(request(other), request([15] * 300, 2)))
    run(scheduler, submitted=(request([*SYSTEM, *[15] * 100], 3, conversation=1),))
    copy, restored = request([*SYSTEM, 14], 4, conversation=2), request([*other, 3, 9], 5, conversation=3)
    scheduler.submit(copy)
    scheduler.submit(restored)
    scheduler.step()
    assert (copy.cache.n_shared, restored.phase) == (200, SequencePhase.WAITING)
    run(scheduler)
    assert (copy.cache.n_cached, restored.cache.n_restored) == (200, 301)
