"""The meter's arithmetic, exactly."""

import pytest

from app.analysis.context import ContextUse
from app.analysis.meter import Phase, RunMeter
from app.analysis.survivors import Candidate
from app.analysis.token_rate import N_RECENT, N_SAMPLES, TokenRate
from app.domain.generation import FinishReason, PromptSpans, Stop, Timings, Usage
from app.domain.trace import TokenTrace, TopToken
from app.protocol.events import (
    ContextShifted,
    EngineLost,
    GenerationFinished,
    GenerationStarted,
    PrefillProgress,
    TokensGenerated,
)


def token(ms, token_id=1, text="a", p=0.5, rank=1, top=()):
    return TokenTrace(token_id, text, ms, p, -0.7, rank, 1.5, top)


def tokens(*times):
    return TokensGenerated(1, "", tuple(token(ms) for ms in times))


SPANS, USAGE, TIMINGS = PromptSpans(10, 30, 20), Usage(60, 20, 4), Timings()


def started(n_prompt=60, n_cached=20, spans=SPANS):
    return GenerationStarted(1, n_prompt, n_cached, spans, 7)


def finished(reason=FinishReason.STOP, stop=None, error="", usage=USAGE, timings=TIMINGS):
    return GenerationFinished(1, reason, usage, timings, stop, error)


@pytest.fixture
def meter():
    return RunMeter()


def run(meter, *events):
    for event in events:
        meter.apply(event)
    return meter


def test_phases(meter):
    seen = [meter.phase]
    meter.queued()
    seen.append(meter.phase)
    for event in (started(), PrefillProgress(1, 40, 40, 8.0), tokens(12.0), finished()):
        meter.apply(event)
        seen.append(meter.phase)
    assert seen == [Phase.IDLE, Phase.QUEUED, Phase.PREFILL, Phase.PREFILL, Phase.DECODE, Phase.DONE]


def test_nothing_is_known_at_first(meter):
    assert (meter.tps_now, meter.tps_average, meter.prefill_tps, meter.ttft_ms) == (None,) * 4
    assert (meter.p50_ms, meter.p95_ms, meter.cost_ratio, meter.history, meter.candidates(5)) == (
        None,
        None,
        None,
        (),
        (),
    )


def test_prefill_while_it_runs_and_when_it_is_done(meter):
    run(meter, started(), PrefillProgress(1, 10, 40, 5.0))
    assert (meter.n_new, meter.n_cached, meter.prefill_fraction) == (40, 20, 0.25)
    assert (meter.prefill_ms, meter.prefill_tps, meter.prefill_ms_per_token) == (5.0, 2000.0, None)
    run(meter, PrefillProgress(1, 16, 40, 8.0))
    assert meter.prefill_ms_per_token == 0.5
    run(meter, tokens(9.0), finished(timings=Timings(prefill_ms=8.0, ttft_ms=9.5)))
    assert (meter.prefill_fraction, meter.prefill_ms, meter.prefill_tps) == (1.0, 8.0, 5000.0)
    assert meter.ttft_ms == 9.5


def test_a_reply_whose_engine_reported_no_times_keeps_those_that_were_seen(meter):
    cut_off = finished(FinishReason.ERROR)
    run(meter, started(), tokens(9.5, 4.0), cut_off)
    assert (meter.ttft_ms, meter.decode_ms) == (9.5, 4.0)
    run(meter, started(), cut_off)
    assert meter.ttft_ms is None


def test_a_fully_cached_prompt_has_no_prefill_rate(meter):
    run(meter, started(20, 20), tokens(3.0))
    assert (meter.n_new, meter.prefill_fraction, meter.prefill_tps, meter.prefill_ms_per_token) == (0, 1.0, None, None)


def test_the_first_token_is_the_wait_and_not_a_step(meter):
    run(meter, started(), tokens(500.0))
    assert (meter.ttft_ms, meter.n_generated, meter.decode_ms, meter.tps_now) == (500.0, 1, 0.0, None)


def test_what_a_fork_kept_is_the_replys_and_not_the_turns(meter):
    kept = GenerationStarted(1, 60, 50, PromptSpans(10, 20, 30), 7, n_kept=12)
    run(meter, kept, tokens(9.0, 5.0, 5.0))
    use = meter.context(100)
    assert (use.n_system, use.n_history, use.n_turn, use.n_reply, use.n_used) == (10, 20, 18, 15, 63)
    assert [moment.at for moment in meter.ending.moments] == [15, 14, 13]
    assert meter.n_generated == 3


def test_the_depth_of_a_token_is_counted_in_the_shifted_window(meter):
    run(meter, started(), tokens(9.0, 5.0, 5.0), ContextShifted(1, 10, 30), tokens(5.0))
    latency = meter.latency
    assert (latency.first_depth, latency.deepest, latency.last_depth) == (61, 62, 33)


def test_speed_average_and_cost(meter):
    run(meter, started(), PrefillProgress(1, 40, 40, 40.0), tokens(50.0, 10.0, 30.0))
    assert (meter.tps_now, meter.tps_average) == (50.0, 50.0)
    assert (meter.prefill_ms_per_token, meter.decode_ms_per_token, meter.cost_ratio) == (1.0, 20.0, 20.0)


def test_now_is_the_last_second_of_the_engines_time(meter):
    run(meter, started(), tokens(50.0, *[100.0] * 10), tokens(*[20.0] * 50))
    assert meter.tps_now == 50.0
    assert meter.tps_average == 30.0


def test_a_slow_engine_still_has_a_speed(meter):
    run(meter, started(), tokens(50.0, 4000.0, 5000.0))
    assert meter.tps_now == 0.2


def test_steps_of_several_tokens_count_each(meter):
    run(meter, started(), tokens(50.0), tokens(40.0, 0.0, 0.0, 0.0))
    assert (meter.tps_now, meter.n_generated) == (100.0, 5)


def test_the_final_figures_are_the_engines(meter):
    timings = Timings(0, 1, 8.0, 9.0, 60.0, 5000.0, 50.0, 19.0, 22.0)
    run(meter, started(), tokens(9.0, 1.0, 2.0), finished(usage=Usage(61, 21, 4), timings=timings))
    assert (meter.p50_ms, meter.p95_ms, meter.tps_average, meter.n_generated) == (19.0, 22.0, 50.0, 4)
    assert (meter.n_prompt, meter.n_cached) == (61, 21)


def test_live_percentiles_are_nearest_rank(meter):
    run(meter, started(), tokens(50.0, *(float(n) for n in range(100, 0, -1))))
    assert (meter.p50_ms, meter.p95_ms) == (50.0, 95.0)


def test_percentiles_look_back_on_a_bounded_window():
    pace = TokenRate()
    for ms in [1.0] * 1000 + [9.0] * N_RECENT:
        pace.add(ms)
    assert (pace.percentile_ms(0.01), pace.percentile_ms(1.0)) == (9.0, 9.0)
    assert len(pace._sorted) == len(pace._recent) == N_RECENT


def test_the_history_has_a_point_a_quarter_second_and_an_end():
    pace = TokenRate()
    for _ in range(25):
        pace.add(20.0)
    assert list(pace.history) == [50.0]
    pace.add(500.0)
    assert list(pace.history) == [50.0, 13 * 1000 / 740]
    for _ in range(1000):
        pace.add(250.0)
    assert list(pace.history) == [4.0] * N_SAMPLES


def test_context_spans(meter):
    run(meter, started(), tokens(9.0, 1.0))
    assert meter.context(100) == ContextUse(100, 10, 30, 20, 2)
    assert (meter.context(100).n_used, meter.context(100).n_free, meter.context(124).fraction) == (62, 38, 0.5)
    assert (meter.context(50).n_free, meter.context(50).fraction, meter.context(0).fraction) == (0, 1.0, 0.0)


TOP = (TopToken(3, " sky", 0.6), TopToken(4, " sea", 0.3), TopToken(5, "\n", 0.05))


def test_candidates_mark_the_chosen_one(meter):
    run(meter, started(), TokensGenerated(1, "", (token(9.0, 4, " sea", 0.3, 2, TOP),)))
    assert meter.candidates(3) == (Candidate(TOP[0], False, 1), Candidate(TOP[1], True, 2), Candidate(TOP[2], False, 3))


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_a_chosen_one_beyond_the_top_takes_the_last_place(meter, limit):
    run(meter, started(), TokensGenerated(1, "", (token(9.0, 8, " fog", 0.01, 14, TOP),)))
    rows = meter.candidates(limit)
    assert rows[-1] == Candidate(TopToken(8, " fog", 0.01), True, 14)
    assert [row.token for row in rows[:-1]] == list(TOP[: limit - 1])


def test_without_a_trace_the_chosen_one_stands_alone(meter):
    run(meter, started(), tokens(9.0))
    assert meter.candidates(5) == (Candidate(TopToken(1, "a", 0.5), True, 1),)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (finished(stop=Stop("eog", "<|im_end|>", 2)), "stopped: end of turn <|im_end|>"),
        (finished(stop=Stop("string", "END")), 'stopped: stop string "END"'),
        (finished(stop=Stop("string", "\n\x1b[2J")), 'stopped: stop string " ␛[2J"'),
        (finished(), "stopped: end of turn"),
        (finished(FinishReason.LENGTH, usage=Usage(1, 0, 128)), "length limit (128 tokens)"),
        (finished(FinishReason.CONTEXT), "context full"),
        (finished(FinishReason.ABORT), "stopped by you"),
        (finished(FinishReason.ERROR, error="no room"), "failed: no room"),
        (finished(FinishReason.ERROR), "failed: unknown error"),
        (EngineLost(-9, "killed by SIGKILL"), "engine lost: killed by SIGKILL"),
    ],
)
def test_why_it_stopped(meter, event, words):
    run(meter, started(), event)
    assert (meter.finish, meter.phase) == (words, Phase.DONE)


def test_a_lost_engine_leaves_the_figures(meter):
    run(meter, started(), tokens(50.0, 10.0), EngineLost(-9, "killed by SIGKILL"))
    assert (meter.n_generated, meter.tps_average, meter.finish_reason) == (2, 100.0, FinishReason.ERROR)


def test_queued_keeps_the_last_figures_and_a_start_clears_them(meter):
    run(meter, started(), tokens(50.0, 10.0), finished(usage=Usage(60, 20, 2), timings=Timings(decode_ms=10.0)))
    meter.queued()
    assert (meter.tps_average, meter.finish, meter.finish_reason) == (100.0, "", None)
    meter.apply(started(5, 0, PromptSpans(0, 0, 5)))
    assert (meter.tps_now, meter.tps_average, meter.n_generated, meter.ttft_ms, meter.last) == (
        None,
        None,
        0,
        None,
        None,
    )
    assert meter.context(10) == ContextUse(10, 0, 0, 5, 0)


def test_a_request_that_never_began_leaves_the_last_figures(meter):
    meter.apply(GenerationFinished(1, FinishReason.STOP, Usage(20, 5, 3), Timings(prefill_ms=15.0, ttft_ms=25.0)))
    before = (meter.n_prompt, meter.n_cached, meter.n_generated, meter.prefill_ms, meter.ttft_ms, meter.context)
    meter.queued()
    meter.apply(GenerationFinished(2, FinishReason.ERROR, Usage(), Timings(), error="cannot reach the server"))
    after = (meter.n_prompt, meter.n_cached, meter.n_generated, meter.prefill_ms, meter.ttft_ms, meter.context)
    assert after == before
    assert (meter.phase, meter.finish) == (Phase.DONE, "failed: cannot reach the server")


def test_reset_forgets(meter):
    run(meter, started(), tokens(50.0, 10.0))
    meter.reset()
    assert (meter.phase, meter.n_prompt, meter.seed, meter.history) == (Phase.IDLE, 0, None, ())


def test_every_change_is_reported(meter):
    versions = {meter.version}
    for change in (meter.queued, lambda: meter.apply(started()), lambda: meter.apply(tokens(1.0)), meter.reset):
        change()
        assert meter.version not in versions
        versions.add(meter.version)


@pytest.mark.parametrize(
    ("n_discarded", "left"), [(20, (10, 20, 3)), (45, (0, 5, 3)), (52, (0, 0, 1)), (99, (0, 0, 0))]
)
def test_a_shifted_window_forgets_the_oldest_first_but_not_the_system_prompt(meter, n_discarded, left):
    run(meter, started(), tokens(1.0, 1.0, 1.0), ContextShifted(1, 10, n_discarded))
    assert meter.context(100) == ContextUse(100, 10, *left)
    assert run(meter, started()).context(100) == ContextUse(100, 10, 30, 20, 0)
