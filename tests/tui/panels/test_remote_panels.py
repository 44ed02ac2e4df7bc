"""The panels of a reply that a server wrote: blank where it says nothing, marked where the app measured."""

from __future__ import annotations

import pytest

from app.analysis.ending import ReplyContext
from app.analysis.meter import RunMeter
from app.domain.generation import FinishReason, PromptSpans, Timings, Usage
from app.protocol.events import GenerationFinished, GenerationStarted, ModelReady, TokensGenerated
from app.tui.panels.panel import Figures
from app.tui.panels.registry import PANELS

MODEL = ModelReady("openai:x", "big", 100, 1.0, server=("vLLM at h:8000",))
OURS = ("ttft_ms", "decode_ms", "decode_tps")


def drawn(name: str, meter: RunMeter, model: ModelReady = MODEL) -> str:
    panel = next(panel for panel in PANELS if panel.name == name)
    fullest = panel.draw(Figures(meter, model, ReplyContext()), 60)[0]
    return "\n".join("".join(text for text, _ in line) for line in fullest)


def reply(n_prompt: int, n_generated: int, timings: Timings) -> RunMeter:
    meter = RunMeter()
    meter.apply(GenerationStarted(1, n_prompt, 2 if n_prompt else 0, PromptSpans(), 7, app_clock=True))
    meter.apply(TokensGenerated(1, "a", (), untraced_ms=100, n_untraced=1 if n_generated else 0))
    usage = Usage(n_prompt, 2 if n_prompt else 0, n_generated)
    meter.apply(GenerationFinished(1, FinishReason.STOP, usage, timings))
    return meter


@pytest.fixture
def counted() -> RunMeter:
    return reply(40, 5, Timings(ttft_ms=100, decode_ms=80, decode_tps=50, app_clock=OURS))


@pytest.fixture
def bare() -> RunMeter:
    return reply(0, 0, Timings(ttft_ms=100, app_clock=("ttft_ms",)))


def test_a_prefill_that_is_not_timed_is_blank_and_not_too_short(counted: RunMeter) -> None:
    assert "too few new tokens" not in drawn("cost", counted)
    assert "prefill        –" in drawn("cost", counted)
    assert "PREFILL" in drawn("prefill", counted)
    assert "– tok/s" in drawn("prefill", counted)


def test_what_the_app_measured_is_marked(counted: RunMeter) -> None:
    assert "100 ms · app's clock" in drawn("ttft", counted)
    assert "5 tokens · app's clock" in drawn("decode", counted)
    assert "done · app's clock" in drawn("speed", counted)
    assert "app's clock" in drawn("cost", counted)


def test_what_the_server_measured_is_not_marked() -> None:
    timings = Timings(ttft_ms=100, decode_ms=80, decode_tps=50, prefill_ms=30, prefill_tps=10, app_clock=("ttft_ms",))
    meter = reply(40, 5, timings)
    assert "app's clock" not in drawn("speed", meter)
    assert "30.0 ms" in drawn("prefill", meter)


def test_the_prompt_is_one_part_of_the_window(counted: RunMeter) -> None:
    assert "45 of 100" in drawn("context", counted)
    assert "P prompt 40" in drawn("context", counted)


def test_what_is_not_counted_is_blank(bare: RunMeter) -> None:
    assert drawn("decode", bare).startswith("DECODE")
    assert "0 tokens" not in drawn("decode", bare)
    assert drawn("context", bare).splitlines()[0].endswith("–")


def test_a_window_that_is_not_known_is_blank(counted: RunMeter) -> None:
    model = ModelReady("openai:x", "big", 0, 1.0)
    assert drawn("context", counted, model).splitlines()[0].endswith("–")


def test_the_server_is_named(counted: RunMeter) -> None:
    assert drawn("model", counted).splitlines()[1:3] == ["big", "vLLM at h:8000"]


def test_nothing_is_drawn_as_a_number_that_is_none(counted: RunMeter, bare: RunMeter) -> None:
    for panel in PANELS:
        for meter in (counted, bare):
            assert "nan" not in drawn(panel.name, meter).lower().replace("instant", "")
