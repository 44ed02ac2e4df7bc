"""Tokens per second."""

from __future__ import annotations

from app.analysis.meter import Phase, RunMeter
from app.domain import units
from app.tui.panels.panel import Panel
from app.tui.widgets.line import Forms, Line, big, spark, spread


def _speed(meter: RunMeter, width: int) -> Forms:
    now, average = units.tps(meter.tps_now), units.tps(meter.tps_average)
    speed, caption = (average, f"last second {now}") if meter.phase is Phase.DONE else (now, f"average {average}")
    title = spread(
        (("SPEED", "title"),), ((units.marked(meter.phase.value, meter.by_app("decode_tps")), "dim"),), width
    )
    history: Line = ((spark(meter.history, width), "spark"),)
    top, middle, foot = big(speed) if not speed.endswith("k") else ("", speed, "")
    pad = max(len(top), len(middle), len(foot)) + 2
    large = (
        title,
        ((top, "big"),),
        ((middle.ljust(pad), "big"), ("tok/s", "text")),
        ((foot.ljust(pad), "big"), (caption, "dim")),
        history,
    )
    small = spread(((speed, "big"), (" tok/s", "text")), ((caption, "dim"),), width)
    return large, (title, small, history), (title, small)


SPEED = Panel(
    "speed", "Speed", "Tokens per second, now and on average", 9, lambda figures, width: _speed(figures.meter, width)
)
