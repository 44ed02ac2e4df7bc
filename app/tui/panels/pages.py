"""A panel as large as the screen: its own page, or the page of all plain figures. Pure."""

from __future__ import annotations

from itertools import zip_longest

from app.analysis.ending import ReplyContext
from app.analysis.meter import RunMeter
from app.protocol.events import ModelReady
from app.tui.panels.cells import cells_page
from app.tui.panels.choice import PANELS, PanelChoice
from app.tui.panels.column import fit
from app.tui.panels.drafting import drafting_page
from app.tui.panels.ending import ending_page
from app.tui.panels.latency import latency_page
from app.tui.panels.sections import PanelText, sections
from app.tui.widgets.line import BLANK, Line, width_of

FIGURES = "figures"
PAGES: dict[str, str] = {panel.name: panel.title for panel in PANELS if panel.extra} | {FIGURES: "All figures"}
"""The pages in order, name to title."""

_COLUMN = 36
_GAP = 3
_NARROWEST = 20


def page_of(panel: str) -> str:
    """Returns the page that shows a panel."""
    return panel if panel in PAGES else FIGURES


def page(
    name: str, meter: RunMeter, model: ModelReady | None, setting: ReplyContext, width: int, height: int
) -> list[Line]:
    """Returns a page in at most `height` lines."""
    match name:
        case "speculation":
            return drafting_page(meter, setting, width, height)
        case "latency":
            return latency_page(meter, width, height)
        case "cells":
            return cells_page(meter, model, setting, width, height)
        case "ending":
            return ending_page(meter, model, setting, width, height)
        case _:
            return _figures(meter, model, setting, width, height)


def _figures(meter: RunMeter, model: ModelReady | None, setting: ReplyContext, width: int, height: int) -> list[Line]:
    n = max(1, min(3, (width + _GAP) // (_COLUMN + _GAP)))
    each = max(_NARROWEST, (width - _GAP * (n - 1)) // n)
    panels = sections(meter, model, each, setting, PanelChoice(), extras=False)
    columns = [[line for _, line in fit(part, height)] for part in _parts(panels, n)]
    return [_side_by_side(row, each) for row in zip_longest(*columns, fillvalue=BLANK)]


def _parts(panels: tuple[PanelText, ...], n: int) -> list[list[PanelText]]:
    """Divides the panels in their order into `n` columns of about the same height."""
    total = sum(len(panel.forms[0]) + 1 for panel in panels)
    parts: list[list[PanelText]] = [[] for _ in range(n)]
    done = 0
    for panel in panels:
        n_lines = len(panel.forms[0]) + 1
        parts[min(n - 1, int((done + n_lines / 2) * n / total))].append(panel)
        done += n_lines
    return parts


def _side_by_side(row: tuple[Line, ...], each: int) -> Line:
    line: Line = ()
    for at, part in enumerate(row):
        line = (*line, (" " * (at * (each + _GAP) - width_of(line)), "text"), *part)
    return line
