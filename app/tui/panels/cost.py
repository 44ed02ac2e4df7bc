"""What an input token and an output token cost."""

from __future__ import annotations

from app.analysis.meter import ENOUGH_NEW, RunMeter
from app.domain import units
from app.protocol.events import ModelReady
from app.tui.panels.panel import Panel, title_line
from app.tui.widgets.line import Forms, Line, bar


def _cost(meter: RunMeter, model: ModelReady | None, width: int) -> Forms:
    prefill, decode, ratio = meter.prefill_ms_per_token, meter.decode_ms_per_token, meter.cost_ratio
    times = "" if ratio is None else f"×{ratio:.1f}" if ratio < 9.95 else f"×{ratio:.0f}"
    times = units.marked(times, meter.by_app("decode_tps"))
    if prefill is None and 0 < meter.n_prefilled < ENOUGH_NEW:
        times = "too few new tokens"
    most = max(prefill or 0.0, decode or 0.0)
    rows = tuple(
        (
            (f"{name:<8}", "text"),
            (f"{units.ms(value):>8} ", "value"),
            (bar((value or 0.0) / most, width - 17) if most else "", role),
        )
        for name, value, role in (("prefill", prefill, "history"), ("decode", decode, "reply"))
    )
    title = title_line("COST PER TOKEN", times, width)
    why: tuple[Line, ...] = (
        (("input: many tokens in one pass", "dim"),),
        (("output: one pass for each token", "dim"),),
    )
    if n_bytes := model.native.pass_bytes if model and model.native else 0:
        pass_ms = meter.latency.pass_ms
        rate = f" at {n_bytes / pass_ms / 1e6:.1f} GB/s" if pass_ms else ""
        why = (*why, ((f"a pass reads {units.size(n_bytes)}{rate}", "dim"),))
    return (title, *rows, *why), (title, *rows)


COST = Panel(
    "cost",
    "Cost",
    "What an input and an output token cost",
    2,
    lambda figures, width: _cost(figures.meter, figures.model, width),
)
