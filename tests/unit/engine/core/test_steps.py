"""Step mode, exactly: a held sequence keeps its logits, takes no rows, and goes on as if nothing had been."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.generation import CellSpan, FinishReason, PromptSpans
from app.domain.sampling import SamplingParams
from app.domain.trace import Origin, StageTrace
from app.engine.core.backend import ComputeError
from app.engine.core.events import Blocked, CellMapChanged, Finished, Held, Prefilled, Sampled, Started, StepEvent
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import HoldState, Sequence, SequencePhase
from app.engine.core.slots import SlotState
from tests.fakes.toy_native import ToyBackend


def make(backend: ToyBackend) -> Scheduler:
    ticks = itertools.count(1)
    return Scheduler(backend, clock=lambda: next(ticks) / 1000)


def sequence(prompt: list[int], request_id: int = 1, n_left: int | None = None, **params: object) -> Sequence:
    sampling = SamplingParams(**params)  # type: ignore[arg-type]
    return Sequence(request_id, prompt, sampling, trace_top_k=3, arrived_s=0.0, held=HoldState(n_left=n_left))


def turn(scheduler: Scheduler) -> list[StepEvent]:
    """Steps until there is nothing to do; what happened beside the accounts of cells (`test_cells.py`)."""
    happened: list[StepEvent] = []
    while not scheduler.idle:
        happened += [each for each in scheduler.step() if not isinstance(each, CellMapChanged)]
        assert scheduler.check_integrity() == []
    return happened


def kinds(happened: list[StepEvent]) -> list[type]:
    return [type(each) for each in happened]


def test_it_is_held_before_its_first_token_and_nothing_is_computed_again() -> None:
    backend = ToyBackend()
    scheduler, request = make(backend), sequence([10, 11, 12], n_left=0)
    scheduler.submit(request)
    assert kinds(turn(scheduler)) == [Started, Prefilled, Held]
    assert (request.phase, request.generated) == (SequencePhase.HELD, [])
    assert scheduler.slots.slots[0].state is SlotState.CLAIMED
    request.resume(None)
    assert kinds(turn(scheduler)) == [Sampled] * 4 + [Finished]
    assert request.generated == [13, 14, 15, 0]
    assert backend.batches == [[(0, [10, 11, 12])], [(0, [13])], [(0, [14])], [(0, [15])]]


def test_a_step_is_one_token_and_its_decode() -> None:
    backend = ToyBackend()
    scheduler, request = make(backend), sequence([10], n_left=2)
    scheduler.submit(request)
    assert kinds(turn(scheduler)) == [Started, Prefilled, Sampled, Sampled, Held]
    assert request.generated == [11, 12]
    assert backend.cells[0] == [10, 11, 12]
    for expected in (13, 14, 15):
        request.resume(1)
        sampled, held = turn(scheduler)
        assert isinstance(sampled, Sampled)
        assert isinstance(held, Held)
        assert sampled.token == expected
    request.resume(1)
    assert kinds(turn(scheduler)) == [Sampled, Finished]
    assert request.finish_reason is FinishReason.STOP
    assert len(backend.batches) == 6


def test_what_comes_next_is_reported_before_and_after_the_chain() -> None:
    scheduler, request = make(ToyBackend()), sequence([10], n_left=0)
    scheduler.submit(request)
    held = turn(scheduler)[-1]
    assert isinstance(held, Held)
    assert [token for token, _ in held.preview.before] == [11, 0, 1]
    assert held.preview.after == [(11, 1.0)]
    assert held.preview.stages == (StageTrace("greedy", 16, 1, (1.0, 0.0, 0.0)),)
    total = math.exp(5) + sum(math.exp(-i) for i in range(16) if i != 11)
    assert held.preview.p_end == pytest.approx(1 / total, rel=1e-5)
    assert [p for _, p in held.preview.before] == pytest.approx([math.exp(5) / total, 1 / total, math.exp(-1) / total])


def test_a_pause_takes_effect_before_the_next_token_and_counts_once() -> None:
    scheduler, request = make(ToyBackend()), sequence([1])
    scheduler.submit(request)
    scheduler.step()
    scheduler.step()
    request.pause()
    assert kinds(turn(scheduler)) == [Held]
    request.pause()
    assert turn(scheduler) == []
    assert request.generated == [2, 3]


def test_a_pause_behind_a_resume_holds_again() -> None:
    scheduler, request = make(ToyBackend()), sequence([1], n_left=0)
    scheduler.submit(request)
    turn(scheduler)
    request.resume(None)
    request.pause()
    assert kinds(turn(scheduler)) == [Held]
    assert request.generated == []


def test_forced_and_banned_tokens() -> None:
    scheduler, request = make(ToyBackend()), sequence([1], n_left=0)
    scheduler.submit(request)
    turn(scheduler)
    assert request.sampler
    request.forced += [7, 8]
    request.resume(1)
    sampled = turn(scheduler)[0]
    assert isinstance(sampled, Sampled)
    assert (sampled.token, sampled.origin) == (7, Origin.FORCED)
    request.sampler.ban([8, 9])
    request.resume(0)
    (held,) = turn(scheduler)
    assert isinstance(held, Held)
    assert held.preview.after == [(0, 1.0)]
    request.resume(None)
    turn(scheduler)
    assert request.generated == [7, 8, 0]


@pytest.mark.parametrize(("n_steps", "n_batches"), [(1, 1), (2, 1), (4, 1), (6, 3)])
def test_typed_tokens_are_computed_together_up_to_the_pause(n_steps: int, n_batches: int) -> None:
    backend = ToyBackend()
    scheduler, request = make(backend), sequence([1], n_left=0)
    scheduler.submit(request)
    turn(scheduler)
    backend.batches.clear()
    request.forced += [7, 8, 9, 11]
    request.resume(n_steps)
    happened = turn(scheduler)
    tokens = [each.token for each in happened if isinstance(each, Sampled)]
    assert tokens == [7, 8, 9, 11, 12, 13][:n_steps]
    assert isinstance(happened[-1], Held)
    assert (request.generated, request.held.n_left) == (tokens, 0)
    assert len(backend.batches) == n_batches


def test_a_forced_token_is_reported_where_the_logits_are_no_numbers() -> None:
    backend = ToyBackend()
    backend.no_numbers = True
    scheduler, request = make(backend), sequence([1], max_tokens=1)
    request.forced.append(7)
    scheduler.submit(request)
    sampled = next(each for each in turn(scheduler) if isinstance(each, Sampled))
    assert (sampled.token, sampled.origin) == (7, Origin.FORCED)
    assert math.isnan(sampled.measured.logprob)
    assert request.finish_reason is FinishReason.LENGTH


def test_a_ban_is_taken_back() -> None:
    scheduler, request = make(ToyBackend()), sequence([1], n_left=0)
    scheduler.submit(request)
    turn(scheduler)
    assert request.sampler
    request.sampler.ban([2, 3])
    request.sampler.unban([2, 9])
    request.resume(0)
    (held,) = turn(scheduler)
    assert isinstance(held, Held)
    assert held.preview.after == [(2, 1.0)]


def test_the_clock_of_a_sequence_stands_still_while_it_is_held() -> None:
    now = 0.0
    scheduler = Scheduler(ToyBackend(), clock=lambda: now)
    request = sequence([10], n_left=1)
    scheduler.submit(request)
    now = 1.0
    turn(scheduler)
    now = 100.0
    request.resume(None)
    scheduler.step()
    now = 100.5
    sampled = turn(scheduler)
    assert [s.ms for s in sampled if isinstance(s, Sampled)] == [500.0, 0.0, 0.0, 0.0]
    timings = request.timings(now, 0.0)
    assert (timings.ttft_ms, timings.decode_ms) == (1000.0, 500.0)


def test_another_request_runs_meanwhile_and_one_without_a_slot_waits_at_rest() -> None:
    backend = ToyBackend(n_slots=2)
    scheduler = make(backend)
    held, other = sequence([1], n_left=0), sequence([13], request_id=2)
    scheduler.submit(held)
    scheduler.submit(other)
    turn(scheduler)
    assert other.generated == [14, 15, 0]
    second = sequence([5], request_id=3, n_left=0)
    third = sequence([13], request_id=4)
    scheduler.submit(second)
    scheduler.submit(third)
    turn(scheduler)
    assert scheduler.idle
    assert third.phase is SequencePhase.WAITING
    held.finish(FinishReason.ABORT)
    assert not scheduler.idle
    assert [h.sequence.request_id for h in turn(scheduler) if isinstance(h, Finished)] == [1, 4]
    assert third.generated == [14, 15, 0]


def test_what_waits_for_a_held_one_can_be_aborted() -> None:
    scheduler = make(ToyBackend(n_slots=1))
    held, waiting = sequence([1], n_left=0), sequence([13], request_id=2)
    scheduler.submit(held)
    scheduler.submit(waiting)
    turn(scheduler)
    waiting.finish(FinishReason.ABORT)
    assert [h.sequence.request_id for h in turn(scheduler) if isinstance(h, Finished)] == [2]


def test_a_slot_that_comes_free_by_itself_is_taken() -> None:
    scheduler = make(ToyBackend(n_slots=2))
    claimed = scheduler.slots.claim([])
    held, waiting = sequence([1], n_left=0), sequence([13], request_id=2)
    scheduler.submit(held)
    scheduler.submit(waiting)
    turn(scheduler)
    assert (claimed is not None, waiting.phase) == (True, SequencePhase.WAITING)
    scheduler.slots.release(claimed[0])
    turn(scheduler)
    assert waiting.generated == [14, 15, 0]


def test_a_prompt_that_never_fits_is_refused_though_every_slot_is_held() -> None:
    scheduler = make(ToyBackend(n_slots=1, n_ctx=8))
    scheduler.submit(sequence([1], n_left=0))
    turn(scheduler)
    refused = sequence([1] * 9, request_id=2)
    scheduler.submit(refused)
    turn(scheduler)
    assert refused.finish_reason is FinishReason.CONTEXT


def test_an_exact_one_that_is_held_lets_others_run_and_goes_on_alone() -> None:
    backend = ToyBackend()
    scheduler = make(backend)
    exact, other = sequence([10], n_left=1, exact=True), sequence([3], request_id=2)
    scheduler.submit(exact)
    scheduler.submit(other)
    while exact.phase is not SequencePhase.HELD or not other.generated:
        scheduler.step()
    exact.resume(None)
    turn(scheduler)
    assert exact.generated == [11, 12, 13, 14, 15, 0]
    assert other.generated == [*range(4, 16), 0]
    assert all(len(rows) == 1 for rows in backend.batches)


def test_stepping_drafts_nothing_and_running_on_drafts_again() -> None:
    backend = ToyBackend(lambda tokens: 1 + len(tokens) % 3, n_ctx=200)
    scheduler, request = make(backend), sequence([1, 2, 3] * 5, n_left=3, max_tokens=60)
    request.speculate = True
    scheduler.submit(request)
    turn(scheduler)
    assert [len(rows[0][1]) for rows in backend.batches] == [15, 1, 1, 1]
    request.resume(None)
    turn(scheduler)
    plain = sequence([1, 2, 3] * 5, max_tokens=60)
    other = make(ToyBackend(lambda tokens: 1 + len(tokens) % 3, n_ctx=200))
    other.submit(plain)
    turn(other)
    assert request.generated == plain.generated
    assert len(backend.batches) < 60


def test_a_broken_context_ends_a_held_sequence_too() -> None:
    backend = ToyBackend()
    scheduler = make(backend)
    held, other = sequence([1], n_left=0), sequence([5], request_id=2)
    scheduler.submit(held)
    turn(scheduler)
    backend.script = [ComputeError("out of memory")]
    scheduler.submit(other)
    turn(scheduler)
    assert (held.finish_reason, held.error) == (FinishReason.ERROR, "out of memory")


def test_a_held_sequence_at_the_end_of_its_window_can_still_take_one_token() -> None:
    backend = ToyBackend(next_token=lambda tokens: 5, n_ctx=8)
    scheduler, request = make(backend), sequence([1, 2, 3], n_left=5)
    scheduler.submit(request)
    turn(scheduler)
    assert len(backend.cells[0]) == 8
    request.resume(1)
    assert kinds(turn(scheduler)) == [Sampled, Finished]
    assert request.finish_reason is FinishReason.CONTEXT
    assert len(request.generated) == 6


def test_a_window_that_is_shifted_is_shifted_when_the_sequence_goes_on() -> None:
    backend = ToyBackend(next_token=lambda tokens: 5, n_ctx=16)
    scheduler, request = make(backend), sequence([1] * 10, n_left=6, max_tokens=10)
    request.shift, request.spans = True, PromptSpans(4, 4, 2)
    scheduler.submit(request)
    turn(scheduler)
    assert (request.phase, request.n_shifted) == (SequencePhase.HELD, 0)
    request.resume(None)
    turn(scheduler)
    assert (len(request.generated), request.n_shifted) == (10, 6)


def test_what_is_kept_of_a_reply_is_found_in_the_cache() -> None:
    backend = ToyBackend(n_ctx=32)
    scheduler = make(backend)
    first = sequence([10], max_tokens=4)
    scheduler.submit(first)
    turn(scheduler)
    assert first.generated == [11, 12, 13, 14]
    fork = sequence([10, 11, 12], request_id=2, max_tokens=1, force=("#7",))
    fork.n_kept, fork.spans = 2, PromptSpans(0, 0, 3)
    scheduler.submit(fork)
    turn(scheduler)
    assert (fork.cache.n_cached, fork.generated) == (2, [7])
    assert backend.batches[-1] == [(0, [12])]
    assert backend.samplers[-1].accepted == [10, 11, 12, 7]
    assert [(s.kind, s.n_tokens, s.source) for s in fork.cache.cells] == [
        ("prompt", 1, "reused"),
        ("reply", 1, "reused"),
        ("reply", 1, "computed"),
        ("free", 29, ""),
    ]
    assert fork.cache.cells[-1] == CellSpan("free", 29)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["pause", "one", "two", "run", "step", "step"]), max_size=60), st.integers(1, 5))
def test_however_it_is_paused_the_text_is_the_same_and_no_cell_is_lost(ops: list[str], period: int) -> None:
    def next_token(tokens: list[int]) -> int:
        return 1 + len(tokens) % period

    plain, request = (sequence([3, 4], max_tokens=30) for _ in range(2))
    other = make(ToyBackend(next_token))
    other.submit(plain)
    turn(other)
    backend = ToyBackend(next_token)
    scheduler = make(backend)
    request.speculate = True
    scheduler.submit(request)
    for op in [*ops, "run"]:
        if op == "pause":
            request.pause()
        elif op == "step":
            scheduler.step()
        elif request.waits:
            request.resume({"one": 1, "two": 2, "run": None}[op])
        assert scheduler.check_integrity() == []
    while request.phase is not SequencePhase.FINISHED:
        turn(scheduler)
        if request.waits:
            request.resume(None)
    n_rows = sum(len(tokens) for rows in backend.batches for _, tokens in rows)
    assert request.generated == plain.generated
    assert request.speculation
    counts = request.speculation.counts()
    assert n_rows == 2 + 29 + counts.n_drafted - counts.n_accepted


def test_what_has_to_wait_for_held_requests_is_reported_once_and_begins_when_one_ends() -> None:
    scheduler = make(ToyBackend(n_slots=2))
    held = [sequence([1, i], i, n_left=0) for i in (1, 2)]
    for each in held:
        scheduler.submit(each)
    turn(scheduler)
    assert scheduler.held_by == (1, 2)
    late = sequence([9], 3, max_tokens=1)
    scheduler.submit(late)
    (blocked,) = turn(scheduler)
    assert isinstance(blocked, Blocked)
    assert (blocked.sequence, blocked.held_by) == (late, (1, 2))
    held[0].resume(1)
    assert kinds(turn(scheduler)) == [Sampled, Held]
    held[0].finish(FinishReason.ABORT)
    assert kinds(turn(scheduler)) == [Finished, Started, Prefilled, Sampled, Finished]
    assert late.generated == [10]


def test_what_waits_behind_a_running_request_is_reported_only_when_that_is_held_too() -> None:
    scheduler = make(ToyBackend(lambda tokens: 5))
    first, second, late = sequence([1], 1, n_left=0), sequence([2], 2), sequence([3], 3)
    for each in (first, second, late):
        scheduler.submit(each)
    for _ in range(3):
        assert Blocked not in kinds(scheduler.step())
    assert scheduler.held_by == ()
    second.pause()
    assert [each.sequence for each in turn(scheduler) if isinstance(each, Blocked)] == [late]
