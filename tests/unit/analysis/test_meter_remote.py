"""What a server says and does not say, in the figures of one reply."""

import pytest

from app.analysis.meter import Phase, RunMeter
from app.domain.generation import FinishReason, PromptSpans, Timings, Usage
from app.protocol.events import GenerationFinished, GenerationStarted, PrefillProgress, TokensGenerated


def started(n_prompt: int = 0, n_cached: int = 0) -> RunMeter:
    meter = RunMeter()
    meter.apply(GenerationStarted(1, n_prompt, n_cached, PromptSpans(), 7, app_clock=True))
    return meter


def say(meter: RunMeter, text: str, ms: float, n: int = 0, reasoning: str = "") -> None:
    meter.apply(TokensGenerated(1, text, (), reasoning=reasoning, n_untraced=n, untraced_ms=ms))


def test_text_alone_has_a_first_time_and_no_speed() -> None:
    meter = started()
    say(meter, "a", 100)
    say(meter, "b", 50)
    assert (meter.phase, meter.ttft_ms, meter.n_generated) == (Phase.DECODE, 100, 0)
    assert (meter.tps_now, meter.tps_average, meter.p50_ms, meter.context_known) == (None, None, None, False)


def test_thinking_is_the_first_that_comes() -> None:
    meter = started()
    say(meter, "", 80, reasoning="hm")
    say(meter, "a", 50)
    assert meter.ttft_ms == 80


def test_counted_tokens_have_a_speed() -> None:
    meter = started(9)
    say(meter, "a", 100, n=1)
    say(meter, "b", 50, n=1)
    say(meter, "c", 30)
    say(meter, "d", 70, n=2)
    assert (meter.n_generated, meter.decode_ms) == (4, 150)
    assert meter.tps_average == pytest.approx(3 / 0.150)
    assert meter.p50_ms == 50


def test_tokens_that_are_counted_without_text_are_counted() -> None:
    meter = started()
    meter.apply(TokensGenerated(1, "", (), n_untraced=3))
    assert (meter.n_generated, meter.ttft_ms) == (3, None)


def test_the_prompt_is_known_as_a_whole() -> None:
    meter = started(40, 10)
    meter.apply(PrefillProgress(1, 15, 30, 8.0))
    assert (meter.prefill_fraction, meter.prefill_tps) == (0.5, pytest.approx(15 / 0.008))
    say(meter, "a", 100, n=1)
    use = meter.context(100)
    assert (use.n_undivided, use.n_reply, use.n_used, use.n_free) == (40, 1, 41, 59)
    assert (use.n_system, use.n_history, use.n_turn) == (0, 0, 0)
    assert meter.cells(100) == ()


def test_the_end_says_what_the_app_measured() -> None:
    meter = started()
    say(meter, "a", 100)
    assert meter.by_app("ttft_ms")
    assert meter.by_app("decode_tps")
    timings = Timings(ttft_ms=100, decode_ms=20, decode_tps=50, prefill_ms=3, app_clock=("ttft_ms",))
    meter.apply(GenerationFinished(1, FinishReason.STOP, Usage(40, 10, 2), timings))
    assert meter.by_app("ttft_ms")
    assert not meter.by_app("decode_tps")
    assert meter.by_app("p50_ms"), "the times between tokens are the app's where the server gives none"
    assert (meter.n_prompt, meter.context_known, meter.context(100).n_used) == (40, True, 42)


def test_a_time_to_the_first_token_needs_no_count() -> None:
    meter = started()
    say(meter, "a", 100)
    meter.apply(GenerationFinished(1, FinishReason.STOP, Usage(), Timings(ttft_ms=101, app_clock=("ttft_ms",))))
    assert meter.ttft_ms == 101


def test_the_engines_own_times_are_not_the_apps() -> None:
    meter = RunMeter()
    meter.apply(GenerationStarted(1, 9, 0, PromptSpans(n_turn=9), 7))
    assert not meter.by_app("ttft_ms")
    assert meter.context_known
