"""Cells that need not be computed: copied from another slot, restored from the archive, saved on the way out."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Many

import numpy as np
import numpy.typing as npt
import pytest

from app.domain.sampling import SamplingParams
from app.engine.core.backend import AdapterSet
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import CacheFacts, Sequence
from app.engine.core.slots import common_prefix
from tests.fakes.toy_native import ToyBackend

LONG = [1 + i % 15 for i in range(300)]
SYSTEM = [15 - i % 15 for i in range(400)]


class Entry:
    def __init__(self, archive: MemoryArchive, tokens: list[int], state: npt.NDArray[np.uint8]) -> None:
        self.tokens, self._state, self._archive = tokens, state, archive

    def load(self) -> npt.NDArray[np.uint8] | None:
        return self._state

    def reject(self) -> None:
        self._archive.entries.remove(self)
        self._archive._reported.append("it did not fit")


class MemoryArchive:
    """Keeps what it is given, in order."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.asked: list[int] = []
        self._reported: list[str] = []
        self.saved_for: list[int] = []
        """The conversations of the entries."""

    def find(self, prompt: Many[int], at_least: int, usable: Callable[[int, int], bool]) -> Entry | None:
        self.asked.append(at_least)
        n_most = len(prompt) - 1
        fits = [
            e
            for e in self.entries
            if (n := common_prefix(e.tokens, prompt)) >= at_least and usable(min(n, n_most), len(e.tokens))
        ]
        return max(fits, key=lambda e: common_prefix(e.tokens, prompt), default=None)

    def save(self, tokens: Many[int], state: npt.NDArray[np.uint8], conversation: int = 0) -> None:
        self.entries.append(Entry(self, list(tokens), state))
        self.saved_for.append(conversation)

    def under(self, adapters: AdapterSet) -> MemoryArchive:
        assert not adapters
        return self

    def take_notices(self) -> list[str]:
        reported, self._reported = self._reported, []
        return reported


def toy(n_slots: int = 2) -> ToyBackend:
    return ToyBackend(lambda tokens: 3, n_ctx=2000, n_batch=512, n_slots=n_slots)


def request(prompt: list[int], request_id: int = 1, cacheable: bool = True, max_tokens: int = 2) -> Sequence:
    return Sequence(
        request_id, prompt, SamplingParams(max_tokens=max_tokens), 0, 0.0, cache=CacheFacts(cacheable=cacheable)
    )


def run(scheduler: Scheduler, *sequences: Sequence) -> None:
    for sequence in sequences:
        scheduler.submit(sequence)
    while not scheduler.idle:
        scheduler.step()
    assert scheduler.check_integrity() == []


def test_a_long_common_beginning_is_copied_from_a_conversation_that_stays() -> None:
    backend = toy()
    scheduler = Scheduler(backend)
    run(scheduler, request([*SYSTEM, *LONG, *LONG, *LONG]))
    second = request([*SYSTEM, *[9] * 400], 2)
    run(scheduler, second)
    assert (second.cache.n_cached, second.cache.n_shared, second.cache.n_restored) == (400, 400, 0)
    assert backend.batches[-2] == [(1, [9] * 400)]
    assert backend.cells[0][:700] == [*SYSTEM, *LONG]
    assert backend.cells[1] == [*SYSTEM, *[9] * 400, 3]


def test_a_conversation_that_is_running_can_give_its_beginning() -> None:
    backend = toy()
    scheduler = Scheduler(backend)
    first, second = request([*SYSTEM, 7], max_tokens=5), request([*SYSTEM, 8], 2)
    scheduler.submit(first)
    scheduler.step()
    run(scheduler, second)
    assert second.cache.n_shared == 400
    assert (len(first.generated), len(second.generated)) == (5, 2)


def test_what_costs_more_to_copy_than_to_compute_is_computed() -> None:
    backend = toy()
    scheduler = Scheduler(backend)
    run(scheduler, request(LONG))
    second = request([*LONG[:15], *[9] * 300], 2)
    run(scheduler, second)
    assert (second.cache.n_cached, second.cache.n_shared) == (0, 0)


def test_what_a_slot_loses_is_saved_and_found_again() -> None:
    backend, archive = toy(n_slots=1), MemoryArchive()
    scheduler = Scheduler(backend, archive=archive)
    run(scheduler, request(LONG))
    run(scheduler, request(SYSTEM, 2))
    assert [entry.tokens for entry in archive.entries] == [[*LONG, 3]]
    back = request([*LONG, 5, 6], 3)
    run(scheduler, back)
    assert (back.cache.n_cached, back.cache.n_restored) == (300, 300)
    assert backend.batches[-2] == [(0, [5, 6])]
    assert [entry.tokens[:3] for entry in archive.entries] == [LONG[:3], SYSTEM[:3]]


def test_the_archive_is_asked_only_for_what_saves_much() -> None:
    backend, archive = toy(), MemoryArchive()
    scheduler = Scheduler(backend, archive=archive)
    run(scheduler, request(LONG))
    run(scheduler, request([*LONG, 4], 2))
    assert archive.asked == [256, 300 + 256]


def test_a_state_that_does_not_fit_is_reported_and_the_prompt_computed() -> None:
    backend, archive = toy(n_slots=1), MemoryArchive()
    scheduler = Scheduler(backend, archive=archive)
    run(scheduler, request(LONG))
    run(scheduler, request(SYSTEM, 2))
    backend.states_fit = False
    back = request([*LONG, 5], 3)
    run(scheduler, back)
    assert (back.cache.n_cached, back.cache.n_restored, back.cache.notices) == (0, 0, ["it did not fit"])
    assert len(back.generated) == 2
    assert [entry.tokens[:3] for entry in archive.entries] == [SYSTEM[:3]]


def test_a_state_of_other_tokens_than_it_says_is_refused() -> None:
    backend, archive = toy(n_slots=1), MemoryArchive()
    archive.save(LONG, np.array(LONG[:-1], np.uint8))
    back = request([*LONG, 5])
    run(Scheduler(backend, archive=archive), back)
    assert (back.cache.n_restored, archive.entries) == (0, [])


def test_a_private_conversation_is_never_saved_nor_what_was_made_of_it() -> None:
    backend, archive = toy(), MemoryArchive()
    scheduler = Scheduler(backend, archive=archive)
    run(scheduler, request([*SYSTEM, *LONG, *LONG], cacheable=False))
    shares = request([*SYSTEM, *[9] * 400], 2)
    run(scheduler, shares)
    assert shares.cache.n_shared == 400
    run(scheduler, request([2, *LONG], 3), request([4, *LONG], 4))
    assert archive.entries == []
    run(scheduler, request([6, *LONG], 5), request([7, *LONG], 6))
    assert [entry.tokens[0] for entry in archive.entries] == [2, 4]


def test_short_conversations_are_not_saved() -> None:
    archive = MemoryArchive()
    scheduler = Scheduler(toy(), archive=archive)
    run(scheduler, request(LONG), request([5] * 100, 2))
    scheduler.reuse.keep_all(float("inf"))
    assert [entry.tokens for entry in archive.entries] == [[*LONG, 3]]
    scheduler.reuse.keep_all(0.0)
    assert len(archive.entries) == 1


def test_a_model_that_cannot_cut_is_given_whole_states_only() -> None:
    backend, archive = toy(), MemoryArchive()
    backend.partial_removal = False
    scheduler = Scheduler(backend, archive=archive)
    run(scheduler, request([*SYSTEM, *LONG, *LONG, *LONG]))
    second = request([*SYSTEM, 9], 2)
    run(scheduler, second)
    assert (second.cache.n_cached, second.cache.n_shared) == (0, 0)
    assert archive.asked[-1] == 256  # its own 400 are worth nothing: they cannot be had alone


def test_a_state_is_saved_under_the_conversation_whose_slot_it_was() -> None:
    archive = MemoryArchive()
    scheduler = Scheduler(toy(n_slots=1), archive=archive)
    first, second = request(LONG), request(SYSTEM, 2)
    first.cache.conversation, second.cache.conversation = 7, 8
    run(scheduler, first, second)
    scheduler.reuse.keep_all(float("inf"))
    assert archive.saved_for == [7, 8]


def test_what_lies_of_a_forgotten_conversation_is_given_up_and_never_saved() -> None:
    backend, archive = toy(n_slots=3), MemoryArchive()
    scheduler = Scheduler(backend, archive=archive)
    gone, kept = request(LONG), request(SYSTEM, 2)
    running = request([9] * 300, 3, max_tokens=5)
    gone.cache.conversation, kept.cache.conversation, running.cache.conversation = 7, 8, 9
    run(scheduler, gone, kept)
    scheduler.submit(running)
    scheduler.step()
    scheduler.reuse.forget((7, 9))
    assert (backend.cells[0], len(backend.cells[1])) == ([], 401)
    while not scheduler.idle:
        scheduler.step()
    assert len(running.generated) == 5, "what runs goes on"
    assert scheduler.check_integrity() == []
    scheduler.reuse.keep_all(float("inf"))
    assert archive.saved_for == [8]


def beside() -> tuple[Scheduler, Scheduler, ToyBackend]:
    """The conversations' scheduler, that of their branches, and the backend of the branches."""
    pool = ToyBackend(lambda tokens: 3, n_ctx=2000, n_batch=512, n_slots=4, unified=True)
    main, branches = Scheduler(toy()), Scheduler(pool)
    branches.reuse.link_peer(main.reuse)
    return main, branches, pool


def test_branches_begin_with_what_the_conversation_has_computed_and_it_goes_on_with_the_one_that_was_picked() -> None:
    main, branches, pool = beside()
    run(main, first := request(LONG[:40]))
    prompt = [*LONG[:40], *first.generated[:-1], 9, 9, 9]
    picked, other = request(prompt, 2, max_tokens=30), request(prompt, 3)
    run(branches, picked, other)
    assert [(each.cache.n_cached, each.cache.n_shared) for each in (picked, other)] == [(41, 41), (43, 43)]
    assert {span.source for span in picked.cache.cells if span.n_tokens} == {"copied", "computed", ""}
    assert picked.slot is not None
    assert other.slot is not None
    assert pool.same_cell(picked.slot.seq_id, other.slot.seq_id, 42)
    follow_up = request([*prompt, *picked.generated[:-1], 5, 6], 4)
    run(main, follow_up)
    assert (follow_up.cache.n_cached, follow_up.cache.moved) == (len(prompt) + 29, True)


def test_cells_that_must_not_be_saved_stay_so_in_another_context() -> None:
    main, branches, _ = beside()
    run(branches, first := request(LONG, cacheable=False))
    run(main, second := request([*LONG, *first.generated, 1], 2))
    assert second.cache.moved
    assert second.slot is not None
    assert second.slot.private


@pytest.mark.parametrize(("there", "prompt"), [(LONG[:3], LONG[:9]), (LONG * 4, [*LONG[:60], 7])])
def test_little_or_what_is_too_dear_to_copy_is_computed(there: list[int], prompt: list[int]) -> None:
    main, branches, _ = beside()
    run(main, request(there))
    run(branches, sequence := request(prompt, 2))
    assert (sequence.cache.n_cached, sequence.cache.moved) == (0, False)


def test_a_state_that_another_context_does_not_take_is_computed() -> None:
    main, branches, pool = beside()
    pool.states_fit = False
    run(main, request(LONG))
    run(branches, sequence := request(LONG, 2))
    assert (sequence.cache.n_cached, sequence.cache.moved, sequence.cache.n_shared) == (0, False, 0)
