"""The times of a reply: reading the prompt, the first token, every later one."""

from __future__ import annotations

from app.analysis.meter import RunMeter
from app.domain import units
from app.tui.panels.panel import Panel, title_line
from app.tui.widgets.line import Forms, Line, gauge, spread


def _prefill(meter: RunMeter, width: int) -> Forms:
    title = title_line("PREFILL", units.ms(meter.prefill_ms or None), width)
    tokens: Line = (
        (units.count(meter.n_new), "value"),
        (" new + ", "text"),
        (units.count(meter.n_cached), "value"),
        (" cached", "text"),
    )
    line = spread(tokens, ((units.rate(meter.prefill_tps), "dim"),), width)
    fraction = meter.prefill_fraction if meter.n_prompt else 0.0
    done = gauge(fraction, width - 6)
    return (title, line, (*done, (f"{units.percent(fraction):>6}", "dim"))), (title, line)


def _decode(meter: RunMeter, width: int) -> Forms:
    count = units.tokens(meter.n_generated) if meter.count_known else units.UNKNOWN
    title = title_line("DECODE", units.marked(count, meter.by_app("p50_ms")), width)
    p50, p95 = units.ms(meter.p50_ms), units.ms(meter.p95_ms)
    line = spread((("p50 ", "dim"), (p50, "value")), (("p95 ", "dim"), (p95, "value")), width)
    return ((title, line),)


PREFILL = Panel(
    "prefill",
    "Prefill",
    "Reading the prompt: new and cached tokens",
    7,
    lambda figures, width: _prefill(figures.meter, width),
)
FIRST_TOKEN = Panel(
    "ttft",
    "First token",
    "How long the first token took",
    3,
    lambda figures, width: (
        (title_line("TTFT", units.marked(units.ms(figures.meter.ttft_ms), figures.meter.by_app("ttft_ms")), width),),
    ),
)
DECODE = Panel(
    "decode",
    "Decode",
    "The time of a token: median and 95th percentile",
    6,
    lambda figures, width: _decode(figures.meter, width),
)
