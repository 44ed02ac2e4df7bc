"""What lies in the KV-cache of one of several replies, on one line: how much of it the others hold too."""

from __future__ import annotations

from collections.abc import Sequence

from app.analysis import units as numbers
from app.analysis.ending import Setting
from app.analysis.meter import RunMeter
from app.protocol.events import ModelReady
from app.tui.panels.line import Line, width_of
from app.tui.panels.lines import Lines
from app.tui.watch.cells_view import strip

_NARROWEST = 20
"""Cells below which a strip says nothing."""


class BranchCells(Lines):
    """The strip of the reply that is looked at, and what of it is shared."""

    DEFAULT_CSS = "BranchCells { height: 1; padding: 0 1; }"

    def compose_lines(self, meter: RunMeter, model: ModelReady | None, width: int, height: int) -> Sequence[Line]:
        """Returns the one line."""
        return [cells_line(meter, model, width)]


def cells_line(meter: RunMeter, model: ModelReady | None, width: int) -> Line:
    """Returns the strip and its counts in `width` cells; the counts alone where there is no room for more."""
    cells = [cell for cell in meter.cells(model.n_ctx) if cell.kind != "free"] if model else []
    n_used, n_shared = (sum(cell.n_tokens for cell in some) for some in (cells, [c for c in cells if c.n_sharers]))
    n_with = max((cell.n_sharers for cell in cells), default=0)
    branches = "branch" if n_with == 1 else "branches"
    shared = f"& {numbers.count(n_shared)} shared with {n_with} {branches}" if n_shared else "none shared"
    counts: Line = ((f"  {numbers.count(n_used)} cells, ", "dim"), (shared, "shared" if n_shared else "dim"))
    room = width - 3 - width_of(counts)
    head: Line = (("KV ", "title"),)
    return (*head, *strip(cells, Setting(), room), *counts) if room >= _NARROWEST and cells else (*head, *counts)
