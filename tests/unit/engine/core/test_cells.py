"""The account of a window: every cell once, with its source, its times and who else holds it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence as Many

from app.domain.generation import CellSpan, FinishReason, PromptSpans
from app.domain.sampling import SamplingParams
from app.engine.core.events import CellMapChanged, Held, Prefilled, Sampled, Started
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import CacheFacts, Sequence
from tests.fakes.toy_native import ToyBackend
from tests.unit.engine.core.test_reuse import MemoryArchive


def run(scheduler: Scheduler, prompt: list[int], spans: PromptSpans, max_tokens: int, shift: bool = False) -> Sequence:
    params = SamplingParams(max_tokens=max_tokens)
    sequence = Sequence(1, prompt, params, 0, 0.0, spans=spans, shift=shift, cache=CacheFacts(cacheable=True))
    scheduler.submit(sequence)
    while not scheduler.idle:
        scheduler.step()
    return sequence


def make(n_ctx: int = 32) -> Scheduler:
    ticks = itertools.count(1)
    return Scheduler(ToyBackend(lambda tokens: 5, n_ctx=n_ctx), clock=lambda: next(ticks) / 1000)


def counts(sequence: Sequence) -> list[tuple[str, int, str]]:
    return [(span.kind, span.n_tokens, span.source) for span in sequence.cache.cells]


def test_every_cell_of_two_turns() -> None:
    scheduler = make()
    first = run(scheduler, [1, 2, 3, 4, 5, 6], PromptSpans(3, 0, 3), 3)
    assert counts(first) == [
        ("system", 3, "computed"),
        ("prompt", 3, "computed"),
        ("reply", 2, "computed"),
        ("free", 24, ""),
    ]
    timings = first.timings(1.0, 0.0)
    assert sum(span.ms for span in first.cache.cells) == timings.prefill_ms + timings.decode_ms
    second = run(scheduler, [1, 2, 3, 4, 5, 6, 5, 5, 7, 8], PromptSpans(3, 6, 1), 1)
    assert counts(second) == [
        ("system", 3, "reused"),
        ("earlier", 5, "reused"),
        ("earlier", 1, "computed"),
        ("prompt", 1, "computed"),
        ("free", 22, ""),
    ]


def test_shifted_cells_are_gone_oldest_first() -> None:
    request = run(make(16), [1] * 10, PromptSpans(4, 4, 2), 10, shift=True)
    assert request.n_shifted == 6
    assert counts(request) == [("system", 4, "computed"), ("reply", 9, "computed"), ("free", 3, "")]


def test_a_request_without_a_place_has_no_cells() -> None:
    request = run(make(8), [1] * 9, PromptSpans(), 1)
    assert request.finish_reason is FinishReason.CONTEXT
    assert request.cache.cells == ()


def test_the_parts_of_a_prompt_that_was_cut_short_are_those_computed() -> None:
    scheduler = make(200)
    sequence = Sequence(1, [1] * 100, SamplingParams(), 0, 0.0, spans=PromptSpans(10, 50, 40))
    scheduler.submit(sequence)
    scheduler.step()
    sequence.finish(FinishReason.ABORT)
    scheduler.step()
    assert counts(sequence) == [("system", 10, "computed"), ("earlier", 22, "computed"), ("free", 168, "")]
    assert [span.ms > 0 for span in sequence.cache.cells[:2]] == [True, True]
    assert sequence.cache.cells[2] == CellSpan("free", 168)


class Wall:
    """A clock that tests set by hand: Unix seconds."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def dated(cells: Many[CellSpan]) -> list[tuple[str, int, str, float, float]]:
    return [(span.kind, span.n_tokens, span.source, span.first_at, span.last_at) for span in cells[:-1]]


def dated_scheduler(n_ctx: int = 32, archive: MemoryArchive | None = None, n_slots: int = 2) -> tuple[Scheduler, Wall]:
    wall, backend = Wall(), ToyBackend(lambda tokens: 5, n_ctx=n_ctx, n_batch=512, n_slots=n_slots)
    return Scheduler(backend, archive=archive, wall=wall), wall


def test_cells_show_when_they_were_computed_however_often_they_are_reused() -> None:
    scheduler, wall = dated_scheduler()
    first = Sequence(1, [1, 2, 3, 4], SamplingParams(max_tokens=3), 0, 0.0, spans=PromptSpans(2, 0, 2))
    scheduler.submit(first)
    while not scheduler.idle:
        wall.now += 1
        scheduler.step()
    assert dated(first.cache.cells) == [
        ("system", 2, "computed", 1001.0, 1001.0),
        ("prompt", 2, "computed", 1001.0, 1001.0),
        ("reply", 2, "computed", 1002.0, 1003.0),
    ]
    wall.now = 2000.0
    second = run(scheduler, [1, 2, 3, 4, 5, 5, 7], PromptSpans(2, 4, 1), 2)
    assert dated(second.cache.cells) == [
        ("system", 2, "reused", 1001.0, 1001.0),
        ("earlier", 4, "reused", 1001.0, 1003.0),
        ("prompt", 1, "computed", 2000.0, 2000.0),
        ("reply", 1, "computed", 2000.0, 2000.0),
    ]
    wall.now = 3000.0
    edited = run(scheduler, [1, 2, 3, 9, 9], PromptSpans(2, 0, 3), 1)
    assert dated(edited.cache.cells) == [
        ("system", 2, "reused", 1001.0, 1001.0),
        ("prompt", 1, "reused", 1001.0, 1001.0),
        ("prompt", 2, "computed", 3000.0, 3000.0),
    ]


LONG = [1 + i % 15 for i in range(400)]


def test_what_comes_from_disk_says_so_and_when_in_later_turns_too() -> None:
    scheduler, wall = dated_scheduler(600, MemoryArchive(), n_slots=1)
    run(scheduler, LONG, PromptSpans(100, 0, 300), 2)
    run(scheduler, [9] * 300, PromptSpans(0, 0, 300), 2)
    wall.now = 5000.0
    back = run(scheduler, [*LONG, 9], PromptSpans(100, 300, 1), 2)
    assert dated(back.cache.cells) == [
        ("system", 100, "restored", 5000.0, 5000.0),
        ("earlier", 300, "restored", 5000.0, 5000.0),
        ("prompt", 1, "computed", 5000.0, 5000.0),
        ("reply", 1, "computed", 5000.0, 5000.0),
    ]
    wall.now = 6000.0
    again = run(scheduler, [*LONG, 9, 5, 8], PromptSpans(100, 302, 1), 1)
    assert dated(again.cache.cells) == [
        ("system", 100, "restored", 5000.0, 5000.0),
        ("earlier", 300, "restored", 5000.0, 5000.0),
        ("earlier", 2, "reused", 5000.0, 5000.0),
        ("prompt", 1, "computed", 6000.0, 6000.0),
    ]


def test_a_copy_is_as_old_as_what_it_was_copied_from_and_shares_no_cell_with_it() -> None:
    scheduler, wall = dated_scheduler(1000)
    run(scheduler, [*LONG, *LONG], PromptSpans(0, 0, 800), 2)
    wall.now = 2000.0
    other = run(scheduler, [*LONG[:300], *[9] * 200], PromptSpans(0, 0, 500), 1)
    assert dated(other.cache.cells) == [
        ("prompt", 300, "copied", 1000.0, 1000.0),
        ("prompt", 200, "computed", 2000.0, 2000.0),
    ]
    assert {span.n_sharers for span in other.cache.cells} == {0}


def test_a_shift_leaves_the_times_with_the_cells() -> None:
    scheduler, wall = dated_scheduler(16)
    sequence = Sequence(1, [1] * 10, SamplingParams(max_tokens=8), 0, 0.0, spans=PromptSpans(4, 4, 2), shift=True)
    scheduler.submit(sequence)
    while not scheduler.idle:
        wall.now += 1
        scheduler.step()
    # Of the cells 4 to 15 the first six went: the prompt's. The reply's first six, of the steps 2 to 7, moved down.
    assert dated(sequence.cache.cells) == [
        ("system", 4, "computed", 1001.0, 1001.0),
        ("reply", 7, "computed", 1002.0, 1008.0),
    ]


def held_together(backend: ToyBackend, seq_id: int, at: int) -> int:
    """How many other sequences hold the very cell, by what the backend itself was asked to share."""
    return sum(other != seq_id and backend.same_cell(seq_id, other, at) for other in range(backend.n_slots))


def assert_shared_as_the_engine_holds_it(scheduler: Scheduler, backend: ToyBackend, active: Many[Sequence]) -> None:
    for each in active:
        assert each.slot is not None
        reported = [n for span in scheduler.account(each) for n in [span.n_sharers] * span.n_tokens][: each.n_past]
        assert reported == [held_together(backend, each.slot.seq_id, at) for at in range(each.n_past)]


def test_what_branches_share_is_what_the_engine_holds_at_every_step() -> None:
    backend = ToyBackend(lambda tokens: len(tokens) % 7 + 1, n_slots=4, unified=True)
    scheduler = Scheduler(backend)
    prompt = list(range(1, 13))
    branches = [
        Sequence(i, [*prompt, *([13] if i == 3 else [])], SamplingParams(max_tokens=3 + i), 0, 0.0) for i in range(1, 5)
    ]
    for each in branches:
        scheduler.submit(each)
    seen: list[list[int]] = []
    while not scheduler.idle:
        scheduler.step()
        active = [each for each in branches if each.slot and each.finish_reason is None]
        assert_shared_as_the_engine_holds_it(scheduler, backend, active)
        seen.append([sum(span.n_tokens for span in scheduler.account(each) if span.n_sharers) for each in active])
    assert seen[:2] == [[0], [12, 11, 12, 11]]
    # A later question takes the slots of some; what they held together with others is theirs no more.
    later = Sequence(9, [*prompt[:6], 15, 15], SamplingParams(max_tokens=2), 0, 0.0)
    scheduler.submit(later)
    scheduler.step()
    assert later.slot is not None
    left = [each for each in branches if each.slot is not later.slot]
    assert_shared_as_the_engine_holds_it(scheduler, backend, [later, *left])
    assert [(s.source, s.n_tokens, s.n_sharers) for s in scheduler.account(later)[:2]] == [
        ("reused", 6, 3),
        ("computed", 2, 0),
    ]
    assert [[(s.n_tokens, s.n_sharers) for s in scheduler.account(each)[:2]] for each in left] == [
        [(6, 3), (5, 2)],
    ] * 3


def test_an_account_is_reported_when_a_phase_begins_and_when_others_share() -> None:
    backend = ToyBackend(lambda tokens: 5, n_slots=3, unified=True)
    scheduler = Scheduler(backend)
    first, second = (Sequence(i, [1, 2, 3, 4], SamplingParams(max_tokens=4), 0, 0.0) for i in (1, 2))
    scheduler.submit(first)
    reported = scheduler.step()
    assert [type(each) for each in reported] == [Started, CellMapChanged, Prefilled, Sampled, CellMapChanged]
    assert reported[1].cells == (CellSpan("free", 64),)  # type: ignore[union-attr]
    assert [type(each) for each in scheduler.step()] == [Sampled]
    scheduler.submit(second)
    news = [each for each in scheduler.step() if isinstance(each, CellMapChanged)]
    assert [(n.sequence.request_id, [(s.n_tokens, s.n_sharers) for s in n.cells]) for n in news] == [
        (1, [(3, 1), (1, 0), (1, 0), (59, 0)]),
        (2, [(3, 1), (61, 0)]),
        (2, [(3, 1), (1, 0), (60, 0)]),
    ]
    first.pause()
    held = scheduler.step()
    assert [type(each) for each in held if each.sequence is first] == [CellMapChanged, Held]
