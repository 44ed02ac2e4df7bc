"""The pages: a panel as large as the screen, and all plain panels on one. Pure."""

from __future__ import annotations

from itertools import zip_longest

from app.analysis.ending import ReplyContext
from app.analysis.meter import RunMeter
from app.protocol.events import ModelReady
from app.tui.panels.choice import PanelChoice
from app.tui.panels.panel import Figures, Panel, PanelPage
from app.tui.panels.registry import PANELS
from app.tui.panels.sections import PanelText, fit, sections
from app.tui.widgets.line import BLANK, Line, width_of

_COLUMN = 36
_GAP = 3
_NARROWEST = 20


def page_of(panel: str) -> str:
    """Returns the page that shows a panel."""
    return panel if panel in PAGES else FIGURES.name


def page(
    name: str, meter: RunMeter, model: ModelReady | None, setting: ReplyContext, width: int, height: int
) -> list[Line]:
    """Returns a page in at most `height` lines."""
    return PAGES[name][1].draw(Figures(meter, model, setting), width, height)


def _figures(figures: Figures, width: int, height: int) -> list[Line]:
    n = max(1, min(3, (width + _GAP) // (_COLUMN + _GAP)))
    each = max(_NARROWEST, (width - _GAP * (n - 1)) // n)
    panels = sections(figures.meter, figures.model, each, figures.context, PanelChoice(), extras=False)
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


FIGURES = Panel(
    "figures",
    "All figures",
    "All plain panels on one page",
    0,
    lambda _figures, _width: (),
    PanelPage(
        _figures,
        "all figures",
        "Every plain panel at once, for screens without room for the column. The letters are those of the panels at "
        "the side.",
    ),
)
"""Not in the column."""
PAGES: dict[str, tuple[Panel, PanelPage]] = {
    panel.name: (panel, panel.page) for panel in (*PANELS, FIGURES) if panel.page is not None
}
"""The pages by name, in order."""
