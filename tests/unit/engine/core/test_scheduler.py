"""The loop, exactly: what is computed, what is reused, why it ends."""

from __future__ import annotations

import itertools

import pytest

from app.domain.generation import FinishReason, Usage
from app.domain.sampling import SamplingParams
from app.domain.trace import Origin
from app.engine.core.backend import ComputeError, Decoded
from app.engine.core.events import CellMapChanged, Finished, Prefilled, Sampled, Started, StepEvent
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import Sequence
from app.engine.core.slots import SlotState
from tests.fakes.toy_native import ToyBackend


def make(backend: ToyBackend) -> Scheduler:
    ticks = itertools.count(1)
    return Scheduler(backend, clock=lambda: next(ticks) / 1000)


def sequence(prompt: list[int], request_id: int = 1, **params: object) -> Sequence:
    return Sequence(request_id, prompt, SamplingParams(**params), trace_top_k=3, arrived_s=0.0)  # type: ignore[arg-type]


def run(scheduler: Scheduler, *sequences: Sequence) -> list[StepEvent]:
    for each in sequences:
        scheduler.submit(each)
    happened: list[StepEvent] = []
    while not scheduler.idle:
        happened += scheduler.step()
    return happened


def test_a_reply_ends_at_an_end_of_generation_token() -> None:
    backend = ToyBackend()
    scheduler, request = make(backend), sequence([10, 11, 12])
    happened = run(scheduler, request)
    reported = [type(h) for h in happened if not isinstance(h, CellMapChanged)]
    assert reported == [Started, Prefilled, Sampled, Sampled, Sampled, Sampled, Finished]
    assert request.generated == [13, 14, 15, 0]
    assert request.finish_reason is FinishReason.STOP
    assert request.stop_token == 0
    assert request.usage() == Usage(3, 0, 4)
    assert backend.batches == [[(0, [10, 11, 12])], [(0, [13])], [(0, [14])], [(0, [15])]]
    assert backend.samplers[0].closed
    assert scheduler.check_integrity() == []


def test_each_token_is_measured_before_the_chain() -> None:
    happened = run(make(ToyBackend()), sequence([10], max_tokens=1))
    sampled = next(h for h in happened if isinstance(h, Sampled))
    assert sampled.measured.rank == 1
    assert [token for token, _ in sampled.measured.top] == [11, 0, 1]
    assert sampled.measured.top[0][1] == pytest.approx(sampled.measured.p)


def test_max_tokens_ends_with_length() -> None:
    request = sequence([1, 2], max_tokens=3)
    run(make(ToyBackend()), request)
    assert request.generated == [3, 4, 5]
    assert request.finish_reason is FinishReason.LENGTH


def test_a_full_context_window_ends_with_context() -> None:
    backend = ToyBackend(next_token=lambda tokens: 5, n_ctx=8)
    request = sequence([1, 2, 3])
    run(make(backend), request)
    assert request.finish_reason is FinishReason.CONTEXT
    assert len(backend.cells[0]) == 8
    assert request.usage() == Usage(3, 0, 6)


@pytest.mark.parametrize("n_prompt", [8, 9, 100])
def test_a_prompt_that_does_not_fit_is_refused_with_both_figures(n_prompt: int) -> None:
    backend = ToyBackend(n_ctx=8)
    request = sequence([1] * n_prompt)
    happened = run(make(backend), request)
    assert [type(h) for h in happened] == [Finished]
    assert request.finish_reason is FinishReason.CONTEXT
    assert str(n_prompt) in request.error
    assert "8" in request.error
    assert backend.batches == []


def test_a_follow_up_computes_only_what_is_new() -> None:
    backend = ToyBackend()
    scheduler = make(backend)
    first = sequence([10, 11, 12])
    run(scheduler, first)
    second = sequence([10, 11, 12, 13, 14, 15, 0, 3, 4], request_id=2, max_tokens=1)
    run(scheduler, second)
    assert second.cache.n_cached == 6
    assert backend.batches[-1] == [(0, [0, 3, 4])]


def test_the_same_prompt_again_computes_one_token_for_its_logits() -> None:
    backend = ToyBackend()
    scheduler = make(backend)
    run(scheduler, sequence([10, 11, 12]))
    again = sequence([10, 11, 12], request_id=2)
    run(scheduler, again)
    assert again.cache.n_cached == 2
    assert again.generated == [13, 14, 15, 0]


def test_an_unrelated_prompt_leaves_the_resident_one_alone() -> None:
    backend = ToyBackend()
    scheduler = make(backend)
    run(scheduler, sequence([10, 11, 12]))
    run(scheduler, sequence([1, 2], request_id=2, max_tokens=1))
    assert scheduler.slots.slots[0].tokens == [10, 11, 12, 13, 14, 15]
    assert scheduler.slots.slots[1].tokens == [1, 2]
    back = sequence([10, 11, 12, 13, 9], request_id=3, max_tokens=1)
    run(scheduler, back)
    assert back.cache.n_cached == 4


def test_a_model_that_refuses_partial_removal_and_has_no_checkpoint_starts_over() -> None:
    backend = ToyBackend(n_slots=1)
    backend.partial_removal = backend.can_checkpoint = False
    scheduler = make(backend)
    run(scheduler, sequence([10, 11, 12]))
    again = sequence([10, 11, 9], request_id=2, max_tokens=1)
    run(scheduler, again)
    assert again.cache.n_cached == 0
    assert backend.batches[-2:] == [[(0, [10, 11])], [(0, [9])]]
    assert scheduler.check_integrity() == []


def test_long_prompts_go_in_chunks_with_progress() -> None:
    backend = ToyBackend(next_token=lambda tokens: 0, n_ctx=200, n_batch=32)
    happened = run(make(backend), sequence([1] * 70))
    assert [h.n_done for h in happened if isinstance(h, Prefilled)] == [32, 64, 70]


def test_decode_rows_come_first_and_prompts_join_them() -> None:
    backend = ToyBackend()
    scheduler = make(backend)
    first, second = sequence([1]), sequence([5], request_id=2)
    scheduler.submit(first)
    scheduler.step()
    scheduler.submit(second)
    scheduler.step()
    assert backend.batches[-1] == [(0, [2]), (1, [5])]
    run(scheduler)
    assert first.generated == [*range(2, 16), 0]
    assert second.generated == [*range(6, 16), 0]


def test_more_requests_than_slots_wait_their_turn() -> None:
    backend = ToyBackend(n_slots=2)
    requests = [sequence([13], request_id=i) for i in range(5)]
    happened = run(make(backend), *requests)
    assert [h.sequence.request_id for h in happened if isinstance(h, Started)] == [0, 1, 2, 3, 4]
    assert all(request.generated == [14, 15, 0] for request in requests)


def test_an_abort_keeps_what_came_and_frees_the_slot() -> None:
    backend = ToyBackend()
    scheduler, request = make(backend), sequence([1])
    scheduler.submit(request)
    scheduler.step()
    scheduler.step()
    request.finish(FinishReason.ABORT)
    happened = scheduler.step()
    assert [type(h) for h in happened] == [Finished]
    assert request.generated == [2, 3]
    assert request.finish_reason is FinishReason.ABORT
    assert scheduler.slots.slots[0].state is SlotState.RESIDENT
    assert scheduler.idle


def test_an_abort_before_the_start_is_reported_too() -> None:
    scheduler = make(ToyBackend(n_slots=1))
    running, waiting = sequence([1]), sequence([2], request_id=2)
    scheduler.submit(running)
    scheduler.submit(waiting)
    scheduler.step()
    waiting.finish(FinishReason.ABORT)
    assert [h.sequence.request_id for h in scheduler.step() if isinstance(h, Finished)] == [2]


def test_a_decode_that_was_aborted_for_another_request_is_done_again() -> None:
    backend = ToyBackend()
    backend.script = [Decoded.DONE, Decoded.ABORTED]
    request = sequence([10, 11])
    scheduler = make(backend)
    run(scheduler, request)
    assert request.generated == [12, 13, 14, 15, 0]
    assert scheduler.check_integrity() == []


def test_a_cache_without_room_gets_smaller_chunks() -> None:
    backend = ToyBackend(next_token=lambda tokens: 0, n_ctx=200, n_batch=128)
    backend.script = [Decoded.NO_SLOT]
    request = sequence([1] * 100)
    run(make(backend), request)
    assert [len(rows[0][1]) for rows in backend.batches] == [64, 36]
    assert request.finish_reason is FinishReason.STOP


def test_a_cache_that_never_has_room_ends_with_context() -> None:
    backend = ToyBackend(n_batch=32)
    backend.script = [Decoded.NO_SLOT]
    request = sequence([1, 2])
    run(make(backend), request)
    assert request.finish_reason is FinishReason.CONTEXT


def test_a_failed_backend_ends_its_requests_and_serves_the_next() -> None:
    backend = ToyBackend()
    backend.script = [Decoded.DONE, ComputeError("out of memory")]
    scheduler = make(backend)
    broken = sequence([10])
    run(scheduler, broken)
    assert broken.finish_reason is FinishReason.ERROR
    assert broken.error == "out of memory"
    assert backend.n_resets == 1
    after = sequence([10], request_id=2)
    run(scheduler, after)
    assert after.generated == [11, 12, 13, 14, 15, 0]


def test_the_phases_sum_to_the_whole_time() -> None:
    request = sequence([10, 11, 12])
    run(make(ToyBackend()), request)
    timings = request.timings(1.0, load_ms=5.0)
    whole_ms = request.clock.token_times_s[-1] * 1e3
    assert timings.queue_ms + timings.prefill_ms + timings.decode_ms == pytest.approx(whole_ms)
    assert timings.ttft_ms == pytest.approx(timings.queue_ms + timings.prefill_ms)
    assert timings.decode_tps == pytest.approx(3 / timings.decode_ms * 1e3)
    assert timings.load_ms == 5.0


def test_a_wrong_grammar_ends_its_request_alone() -> None:
    backend = ToyBackend()
    wrong, right = sequence([10], grammar="wrong"), sequence([13], request_id=2)
    run(make(backend), wrong, right)
    assert (wrong.finish_reason, wrong.error) == (FinishReason.ERROR, "the grammar is wrong at line 1, column 1")
    assert right.generated == [14, 15, 0]


def test_forced_tokens_begin_the_reply() -> None:
    request = sequence([10], force=("#3", "#12"))
    happened = run(make(ToyBackend()), request)
    assert request.generated == [3, 12, 13, 14, 15, 0]
    origins = [h.origin for h in happened if isinstance(h, Sampled)]
    assert origins == [Origin.FORCED] * 2 + [Origin.SAMPLED] * 4


def test_forced_text_is_computed_in_batches_and_each_token_is_measured() -> None:
    backend = ToyBackend(n_vocab=64, n_ctx=128)
    text = [20 + i % 30 for i in range(40)]
    request = sequence([10], force=tuple(f"#{token}" for token in text), max_tokens=42)
    happened = run(make(backend), request)
    assert [len(rows[0][1]) for rows in backend.batches] == [1, 16, 16, 8, 1]
    sampled = [each for each in happened if isinstance(each, Sampled)]
    assert [each.origin for each in sampled] == [Origin.FORCED] * 40 + [Origin.SAMPLED] * 2
    before = [10, *text]
    assert [each.measured.rank == 1 for each in sampled[:40]] == [
        backend.next_token(before[: n + 1]) == token for n, token in enumerate(text)
    ]
    assert backend.samplers[0].accepted == [10, *request.generated]
    assert request.generated == [*text, 14, 15]
    assert [each.decode_ms > 0 for each in sampled] == [i in (0, 1, 17, 33, 41) for i in range(42)]
    assert not any(each.ghosts for each in sampled)


def test_forced_text_is_no_draft() -> None:
    request = sequence([10], force=("#3", "#12", "#5"))
    request.speculate = True
    run(make(ToyBackend()), request)
    assert request.speculation
    assert request.speculation.counts().n_drafted == 0


@pytest.mark.parametrize(("limit", "expected"), [(2, [3, 4]), (3, [3, 4, 5]), (4, [3, 4, 5, 6])])
def test_forced_text_stops_at_the_limit_of_tokens(limit: int, expected: list[int]) -> None:
    backend = ToyBackend()
    request = sequence([10], force=("#3", "#4", "#5", "#6", "#7"), max_tokens=limit)
    run(make(backend), request)
    assert (request.generated, request.finish_reason) == (expected, FinishReason.LENGTH)
    assert sum(len(rows[0][1]) for rows in backend.batches) == limit


def test_forced_text_ends_at_an_end_token_and_where_the_window_is_full() -> None:
    backend = ToyBackend()
    request = sequence([10], force=("#3", "#0", "#5"))
    run(make(backend), request)
    assert (request.generated, request.finish_reason) == ([3, 0], FinishReason.STOP)
    assert backend.batches == [[(0, [10])], [(0, [3, 0])]]
    full = sequence([10], force=("#3",) * 20)
    run(make(ToyBackend(n_ctx=8)), full)
    assert (full.generated, full.finish_reason) == ([3] * 8, FinishReason.CONTEXT)


def test_forced_text_of_several_shares_the_rows() -> None:
    backend = ToyBackend(n_vocab=64)
    requests = [sequence([10], request_id=n, force=("#20",) * 18, max_tokens=19) for n in (1, 2)]
    run(make(backend), *requests)
    assert [request.generated[:18] for request in requests] == [[20] * 18] * 2
    assert max(sum(len(tokens) for _, tokens in rows) for rows in backend.batches) <= backend.batch.max_outputs


def test_an_exact_request_runs_alone_and_from_nothing() -> None:
    backend = ToyBackend()
    scheduler = make(backend)
    run(scheduler, sequence([10, 11]))
    backend.batches.clear()
    exact, other = sequence([10, 11], request_id=2, exact=True), sequence([13], request_id=3)
    happened = run(scheduler, exact, other)
    assert exact.cache.n_cached == 0
    assert backend.batches[0] == [(0, [10, 11])]
    assert all(len(rows) == 1 for rows in backend.batches)
    ended = [h.sequence.request_id for h in happened if isinstance(h, Finished)]
    assert ended == [2, 3]


def test_a_reply_again_reuses_its_prompt_however_long_the_reply_was() -> None:
    backend = ToyBackend(n_vocab=64, next_token=lambda tokens: 5, n_ctx=60)
    scheduler = make(backend)
    first, again = sequence([10, 11, 12, 13], max_tokens=40), sequence([10, 11, 12, 13], request_id=2, max_tokens=1)
    first.cache.conversation = again.cache.conversation = 1
    run(scheduler, first)
    run(scheduler, again)
    assert again.cache.n_cached == 3
    assert backend.batches[-1] == [(0, [13])]


def test_continuations_of_one_prompt_prefill_it_once() -> None:
    backend = ToyBackend(n_slots=8, unified=True)
    prompt = list(range(1, 11))
    requests = [sequence(prompt, request_id=i, max_tokens=3) for i in range(8)]
    run(make(backend), *requests)
    assert backend.batches[0] == [(0, prompt)]
    assert backend.batches[1] == [(0, [11]), *((i, [10]) for i in range(1, 8))]
    assert [request.cache.n_cached for request in requests] == [0] + [9] * 7
    assert all(request.generated == [11, 12, 13] for request in requests)


def test_unrelated_requests_of_one_pool_do_not_wait_for_each_other() -> None:
    backend = ToyBackend(n_slots=2, unified=True)
    run(make(backend), sequence([1, 2], max_tokens=1), sequence([5, 6], request_id=2, max_tokens=1))
    assert backend.batches == [[(0, [1, 2]), (1, [5, 6])]]


def test_a_cache_that_cannot_be_rolled_back_is_computed_again_and_nothing_is_sampled_twice() -> None:
    backend = ToyBackend()
    backend.partial_removal = False
    backend.script = [Decoded.DONE, Decoded.DONE, Decoded.ABORTED]
    scheduler, request = make(backend), sequence([10, 11])
    sampled = [h.token for h in run(scheduler, request) if isinstance(h, Sampled)]
    assert sampled == request.generated == [12, 13, 14, 15, 0]
    assert scheduler.check_integrity() == []


def test_a_model_that_cannot_be_rolled_back_does_not_speculate() -> None:
    backend = ToyBackend(lambda tokens: 1 + len(tokens) % 3)
    backend.partial_removal = False
    request = sequence([1, 2, 3] * 5, max_tokens=20)
    request.speculate = True
    run(make(backend), request)
    assert request.speculation is None
    assert len(request.generated) == 20


def test_an_exact_request_gets_all_its_threads_back() -> None:
    backend = ToyBackend(n_ctx=300)
    scheduler = make(backend)
    backend.n_threads_now = 1
    run(scheduler, sequence([1], exact=True, max_tokens=1))
    assert backend.n_threads_now == backend.n_threads


def test_a_full_pool_ends_the_longest_branch_and_lets_the_others_go_on() -> None:
    backend = ToyBackend(n_slots=2, unified=True)
    scheduler = make(backend)
    long, short = sequence([1, 2, 3, 4, 5], max_tokens=4), sequence([7], request_id=2, max_tokens=4)
    scheduler.submit(long)
    scheduler.submit(short)
    scheduler.step()
    backend.script = [Decoded.NO_SLOT]
    run(scheduler)
    assert long.finish_reason is FinishReason.CONTEXT
    assert short.generated == [8, 9, 10, 11]
