"""The side column of panels, for screens wide enough."""

from __future__ import annotations

from collections.abc import Sequence

from app.protocol.events import ModelReady
from app.tui.meter import RunMeter
from app.tui.panels.layout import fit
from app.tui.panels.line import Line
from app.tui.panels.lines import Lines
from app.tui.panels.sections import sections


class PanelColumn(Lines):
    """SPEED, PREFILL, TTFT, DECODE, COST, CONTEXT, NEXT TOKEN, STOP and MODEL, as many as the height allows."""

    DEFAULT_CSS = """
    PanelColumn {
        width: 38;
        height: 1fr;
        padding: 0 1;
    }
    """

    def compose_lines(self, meter: RunMeter, model: ModelReady | None, width: int, height: int) -> Sequence[Line]:
        """Returns the panels that fit."""
        return fit(sections(meter, model, width), height)
