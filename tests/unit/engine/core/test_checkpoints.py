"""Models whose memory cannot be cut go back to checkpoints: where they are taken, which one serves, what they cost."""

from __future__ import annotations

from app.domain.generation import PromptSpans
from app.domain.sampling import SamplingParams
from app.engine.core.backend import Decoded
from app.engine.core.checkpoints import MOST_OF_A_SLOT, Checkpoints
from app.engine.core.events import Prefilled
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import Sequence
from app.engine.core.slots import SlotTable
from tests.fakes.toy_native import ToyBackend

SYSTEM = [1] * 40
OLD = [2] * 50
TURN = [3] * 20


def toy(n_slots: int = 1) -> ToyBackend:
    backend = ToyBackend(lambda tokens: 9, n_ctx=1000, n_batch=512, n_slots=n_slots)
    backend.partial_removal = False
    return backend


def request(prompt: list[int], request_id: int = 1, *, spans: PromptSpans | None = None, **params: object) -> Sequence:
    sampling = SamplingParams(max_tokens=3, **params)  # pyright: ignore[reportArgumentType]
    return Sequence(request_id, prompt, sampling, 0, 0.0, spans=spans or PromptSpans(0, 0, len(prompt)))


def run(scheduler: Scheduler, sequence: Sequence) -> list[int]:
    """Runs a request; returns how far its prefill was after each decode."""
    scheduler.submit(sequence)
    done: list[int] = []
    while not scheduler.idle:
        done += [each.n_done for each in scheduler.step() if isinstance(each, Prefilled)]
        assert scheduler.check_integrity() == []
    return done


def places(scheduler: Scheduler, slot: int = 0) -> list[int]:
    return [each.n_tokens for each in scheduler.slots.slots[slot].checkpoints]


def test_they_are_taken_after_the_system_prompt_at_the_turn_and_before_the_last_token() -> None:
    scheduler = Scheduler(toy())
    spans = PromptSpans(40, 50, 20)
    assert run(scheduler, request([*SYSTEM, *OLD, *TURN], spans=spans)) == [40, 90, 109, 110]
    assert places(scheduler) == [40, 90, 109]


def test_a_place_near_what_is_cached_is_not_worth_a_decode() -> None:
    scheduler = Scheduler(toy())
    spans = PromptSpans(31, 10, 20)
    assert run(scheduler, request([1] * 61, spans=spans)) == [41, 60, 61]


def test_the_same_prompt_again_computes_one_token() -> None:
    backend = toy()
    scheduler = Scheduler(backend)
    run(scheduler, request([*SYSTEM, *TURN]))
    again = request([*SYSTEM, *TURN], 2)
    run(scheduler, again)
    assert again.cache.n_cached == 59
    assert backend.batches[4] == [(0, [3])]
    assert backend.cells[0] == [*SYSTEM, *TURN, 9, 9]


def test_the_longest_one_that_begins_the_prompt_serves_and_longer_ones_are_gone() -> None:
    scheduler = Scheduler(toy())
    run(scheduler, request([*SYSTEM, *OLD, *TURN], spans=PromptSpans(40, 50, 20)))
    edited = request([*SYSTEM, *OLD, *[4] * 30], 2, spans=PromptSpans(40, 50, 30))
    run(scheduler, edited)
    assert edited.cache.n_cached == 90
    assert places(scheduler) == [40, 90, 119]
    other = request([*SYSTEM, *[5] * 200], 3)
    run(scheduler, other)
    assert other.cache.n_cached == 40
    assert places(scheduler) == [40, 239]


def test_a_follow_up_goes_on_from_the_end_of_the_reply_and_can_be_taken_back_to_it() -> None:
    scheduler = Scheduler(toy())
    run(scheduler, request([*SYSTEM, *TURN]))
    reply = [*SYSTEM, *TURN, 9, 9]
    follow = request([*reply, 9, *[6] * 50], 2)
    run(scheduler, follow)
    assert follow.cache.n_cached == len(reply)
    assert places(scheduler) == [59, 62, 112]
    instead = request([*reply, 9, *[7] * 50], 3)
    run(scheduler, instead)
    assert instead.cache.n_cached == len(reply)


def test_an_abort_goes_back_to_the_last_one_and_samples_nothing_twice() -> None:
    backend = toy()
    backend.script = [Decoded.DONE, Decoded.DONE, Decoded.DONE, Decoded.ABORTED]
    scheduler, sequence = Scheduler(backend), request([*SYSTEM, *TURN])
    run(scheduler, sequence)
    assert sequence.generated == [9, 9, 9]
    assert backend.batches[-3:] == [[(0, [9])], [(0, [3, 9])], [(0, [9])]]


def test_exact_requests_stop_nowhere() -> None:
    scheduler = Scheduler(toy())
    assert run(scheduler, request([*SYSTEM, *TURN], exact=True)) == [60]
    assert places(scheduler) == [60], "where its prefill ends anyway"


def test_an_exact_request_leaves_those_of_what_it_computes_again() -> None:
    scheduler = Scheduler(toy())
    spans = PromptSpans(40, 50, 20)
    prompt = [*SYSTEM, *OLD, *TURN]
    run(scheduler, request(prompt, spans=spans))
    before = places(scheduler)
    assert run(scheduler, request([*SYSTEM, *OLD, *TURN[:10], 4], 2, spans=spans, exact=True)) == [101]
    assert places(scheduler) == [*(n for n in before if n <= 100), 101]
    again = request(prompt, 3, spans=spans)
    run(scheduler, again)
    assert again.cache.n_cached == 90


def test_a_memory_that_can_be_cut_needs_none() -> None:
    backend = toy()
    backend.partial_removal = True
    scheduler = Scheduler(backend)
    assert run(scheduler, request([*SYSTEM, *OLD, *TURN], spans=PromptSpans(40, 50, 20))) == [110]
    assert places(scheduler) == []


def test_other_adapters_find_none_of_them() -> None:
    scheduler = Scheduler(toy())
    run(scheduler, request([*SYSTEM, *TURN]))
    tuned = request([*SYSTEM, *TURN], 2, lora={"a": 1.0})
    run(scheduler, tuned)
    assert tuned.cache.n_cached == 0
    assert places(scheduler) == [59]


def test_one_that_does_not_fit_any_more_is_dropped_and_the_prompt_computed() -> None:
    backend = toy()
    scheduler = Scheduler(backend)
    run(scheduler, request([*SYSTEM, *TURN]))
    backend.states_fit = False
    again = request([*SYSTEM, *TURN], 2)
    run(scheduler, again)
    assert again.cache.n_cached == 0
    assert backend.cells[0] == [*SYSTEM, *TURN, 9, 9]


def test_of_a_slot_the_first_and_the_latest_stay() -> None:
    scheduler = Scheduler(toy())
    prompt = [*SYSTEM]
    for number in range(MOST_OF_A_SLOT + 4):
        prompt = [*prompt, *TURN]
        run(scheduler, request(prompt, number))
        prompt = [*prompt, 9, 9, 9]
    kept = places(scheduler)
    assert (len(kept), kept[0], kept[-1]) == (MOST_OF_A_SLOT, 59, len(prompt) - 4)


def test_all_together_keep_the_limit_and_the_slot_used_longest_ago_pays() -> None:
    backend, table = toy(n_slots=2), SlotTable(2)
    checkpoints = Checkpoints(backend, table, max_bytes=250)
    old, new = table.slots
    old.last_used, new.last_used = 1, 2
    for slot, sizes in ((old, (60, 80)), (new, (90, 100))):
        for n_tokens in sizes:
            backend.cells[slot.seq_id] = [1] * n_tokens
            slot.tokens = [1] * n_tokens
            checkpoints._take(slot)
    assert [each.n_tokens for each in old.checkpoints] == []
    assert [each.n_tokens for each in new.checkpoints] == [90, 100]
    backend.cells[1] = new.tokens = [1] * 251
    checkpoints._take(new)
    assert [each.n_tokens for each in new.checkpoints] == [90, 100]  # one beyond the limit is not taken at all


def test_branches_share_the_prompt_where_it_stops_before_its_last_token() -> None:
    backend = ToyBackend(lambda tokens: 9, n_ctx=1000, n_batch=512, n_slots=3, unified=True)
    backend.partial_removal = False
    scheduler = Scheduler(backend)
    branches = [request([*SYSTEM, *TURN], number) for number in range(3)]
    for branch in branches:
        scheduler.submit(branch)
    while not scheduler.idle:
        scheduler.step()
        assert scheduler.check_integrity() == []
    assert [branch.cache.n_cached for branch in branches] == [0, 59, 59]
    assert backend.batches[:2] == [[(0, [*SYSTEM, *TURN][:59])], [(0, [3]), (1, [3]), (2, [3])]]
