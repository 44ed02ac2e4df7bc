"""The time between tokens: its curve, the effect of the depth, and what it is spent on."""

import msgspec
import pytest

from app.analysis.latency import N_BUCKETS, Envelope, Latency, TimeShare
from app.analysis.token_rate import ScreenClock
from app.domain.trace import Origin
from app.tui.panels.latency import plot
from tests.fakes.engine_events import make_token


def fold(*times, **changes):
    latency = Latency()
    for n, ms in enumerate(times):
        latency.token(msgspec.structs.replace(make_token(" a", ms=ms), **changes), 100 + n)
    return latency


def test_a_short_curve_keeps_every_point():
    envelope = Envelope()
    for value in (3.0, 1.0, 2.0):
        envelope.add(value)
    assert [(b.n, b.low, b.high) for b in envelope.buckets] == [(1, 3.0, 3.0), (1, 1.0, 1.0), (1, 2.0, 2.0)]


def test_a_long_curve_keeps_its_extremes_in_bounded_room():
    envelope = Envelope()
    for value in range(5 * N_BUCKETS):
        envelope.add(float(value))
    buckets = envelope.buckets
    assert len(buckets) <= N_BUCKETS
    assert sum(bucket.n for bucket in buckets) == 5 * N_BUCKETS
    assert {bucket.n for bucket in buckets} == {8}
    assert [(b.low, b.high) for b in buckets[:2]] == [(0.0, 7.0), (8.0, 15.0)]
    assert sum(bucket.total for bucket in buckets) == sum(range(5 * N_BUCKETS))


def test_the_depth_is_a_straight_line():
    trend = fold(*(10 + 0.002 * i for i in range(100))).trend
    assert trend.ms_per_1000 == pytest.approx(2.0)
    assert trend.error == pytest.approx(0.0, abs=1e-5)
    assert trend.seen


def test_no_effect_is_not_seen():
    trend = fold(*(10.0 + (1.0 if i % 2 else -1.0) for i in range(100))).trend
    assert not trend.seen


def test_the_error_is_that_of_least_squares():
    # By hand: x 0..15, y alternating 0 and 2; Sxx 340, Sxy 8, Syy 16.
    trend = fold(*(2.0 * (i % 2) for i in range(16))).trend
    assert trend.ms_per_1000 == pytest.approx(8 / 340 * 1000)
    assert trend.error == pytest.approx(((16 - 64 / 340) / 14 / 340) ** 0.5 * 1000)


def test_few_tokens_and_drafted_ones_show_nothing_of_the_depth():
    assert fold(*[10.0] * 15).trend is None
    assert fold(*[10.0] * 50, origin=Origin.DRAFT).trend is None


def test_the_depth_is_the_place_in_the_window_also_after_a_shift():
    latency = Latency()
    # Ten times up to 256 tokens deep, then a shift down to 128: the time follows the depth exactly.
    depths = [128 + n % 128 for n in range(1280)]
    for depth in depths:
        latency.token(make_token(" a", ms=10 + 0.002 * depth), depth)
    assert (latency.first_depth, latency.deepest, latency.last_depth) == (128, 255, 255)
    assert latency.trend.ms_per_1000 == pytest.approx(2.0)


def test_tokens_all_at_one_depth_have_no_trend():
    latency = Latency()
    for _ in range(20):
        latency.token(make_token(" a", ms=10.0), 7)
    assert latency.trend is None


def test_a_pass_is_what_logits_were_computed_for():
    latency = Latency()
    for decode_ms in (8.0, 0.0, 0.0, 10.0):  # two tokens came with a draft
        latency.token(msgspec.structs.replace(make_token(" a"), decode_ms=decode_ms), 5)
    assert latency.pass_ms == 9.0
    assert Latency().pass_ms is None


def test_what_the_time_is_spent_on():
    shares = fold(10.0, 20.0, decode_ms=12.0, sample_ms=1.5, text_ms=0.75).shares
    assert shares == (
        TimeShare("decode", 12.0, 0.8),
        TimeShare("sample", 1.5, 0.1),
        TimeShare("text", 0.75, 0.05),
        TimeShare("rest of the loop", 0.75, pytest.approx(0.05)),
    )
    assert fold(10.0, decode_ms=0.0).shares == ()


def test_the_screens_clock():
    clock = ScreenClock()
    clock.start(100.0, 5.0)
    clock.arrived(100.1)
    clock.arrived(100.12)
    clock.flushed(100.15)
    clock.flushed(100.3)
    clock.arrived(100.4)
    clock.flushed(100.5)
    clock.ticked(102.0, 5.2, 0.001)
    assert (clock.n_flushes, clock.n_ticks) == (2, 1)
    assert clock.mean_lag_ms == pytest.approx(75.0)
    assert clock.worst_lag_ms == pytest.approx(100.0)
    assert (clock.wall_ms, clock.cpu_ms, clock.panels_ms) == (2000.0, pytest.approx(200.0), 1.0)
    clock.start(200.0, 6.0)
    assert (clock.n_flushes, clock.mean_lag_ms, clock.wall_ms, clock.cpu_ms) == (0, None, 0.0, 0.0)


def written(lines):
    return ["".join(text for text, _ in line) for line in lines]


def test_a_plot_is_dots_two_by_four():
    assert written(plot([(0.0, 0.0), (1.0, 1.0)], (), 1.0, 2, 1)) == ["⡈ "]
    assert written(plot([(0.0, 1.0)], (), 1.0, 1, 2)) == ["⡇", "⡇"]
    assert written(plot([], (0.0, 1.0), 1.0, 3, 1)) == ["⡁ ⡁"]
    assert written(plot([(0.0, 0.0)] * 8, (), 1.0, 2, 1)) == ["⣀⣀"]
    assert written(plot([(5.0, 9.0)], (), 1.0, 1, 1)) == ["▲"]
    assert written(plot([], (), 0.0, 3, 1)) == ["   "]


def test_levels_are_reported_from_the_curve_by_their_role():
    (line,) = plot([(0.0, 0.0)] * 2, (1.0,), 1.0, 3, 1)
    assert line == (("⣁", "spark"), (" ⠁", "dim"))
