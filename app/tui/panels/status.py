"""The same figures on one line, for screens too narrow for the column."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from app.analysis.meter import Phase, RunMeter
from app.domain import units
from app.protocol.events import ModelReady
from app.tui.panels.stop import finish_role
from app.tui.widgets.line import Line, width_of, wrap
from app.tui.widgets.lines import Lines

_SEPARATOR = (" │ ", "dim")
_MAX_RESERVED = 24
"""Cells kept for the state; the figures give way to no more than these."""


class StatusLine(Lines):
    """Speed, context, prefill, time to the first token and the state; figures that do not fit are left out."""

    DEFAULT_CSS = """
    StatusLine {
        width: 1fr;
        height: 1;
        padding: 0 1;
    }
    """

    def compose_lines(self, meter: RunMeter, model: ModelReady | None, width: int, height: int) -> Sequence[Line]:
        """Returns the one line."""
        return [status(meter, model, width)]


def status(meter: RunMeter, model: ModelReady | None, width: int) -> Line:
    """Returns the key figures in at most `width` cells, the most important first."""
    use = meter.context(model.n_ctx) if model is not None and model.n_ctx and meter.context_known else None
    used = units.UNKNOWN if use is None else units.percent(use.fraction)
    counted = units.count(meter.n_generated) if meter.count_known else units.UNKNOWN
    parts: list[Line] = [
        ((units.tps(meter.tps_average if meter.phase is Phase.DONE else meter.tps_now), "big"), (" tok/s", "text")),
        (("ctx ", "dim"), (used, "value")),
        (
            (units.count(meter.n_new), "value"),
            (" new + ", "dim"),
            (units.count(meter.n_cached), "value"),
            (" cached", "dim"),
        ),
        (("ttft ", "dim"), (units.ms(meter.ttft_ms), "value")),
        ((counted, "value"), (" token" if meter.n_generated == 1 else " tokens", "dim")),
        *((((units.APP_CLOCK, "dim"),),) if meter.by_app("decode_tps") else ()),
    ]
    state, role = _state(meter)
    n_state = min(cell_len(state), _MAX_RESERVED) + width_of((_SEPARATOR,))
    line: Line = ()
    for part in parts:
        longer = (*line, _SEPARATOR, *part) if line else part
        if line and width_of(longer) > width - n_state:
            break
        line = longer
    room = width - width_of((*line, _SEPARATOR))
    if meter.finish and cell_len(meter.finish) <= room:
        state = meter.finish
    return (*line, _SEPARATOR, (wrap(state, room, 1)[0], role)) if room > 0 else line


def _state(meter: RunMeter) -> tuple[str, str]:
    if meter.finish:
        return meter.finish_word, finish_role(meter)
    if meter.phase is Phase.PREFILL:
        return f"prefill {units.percent(meter.prefill_fraction)}", "bar"
    return meter.phase.value, "dim"
