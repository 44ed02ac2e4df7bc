"""The side column of panels for wide screens: which panels fit a height, and in which form."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events

from app.analysis.meter import RunMeter
from app.protocol.events import ModelReady
from app.tui.panels.choice import PanelChoice
from app.tui.panels.sections import PanelText, sections
from app.tui.widgets.line import BLANK, Line
from app.tui.widgets.lines import Lines

Row = tuple[str, Line]
"""The name of a panel, empty between two, and a line of it."""


def fit(panels: Sequence[PanelText], height: int) -> list[Row]:
    """Returns at most `height` rows: extras are left out first, then gaps go, then the least important panel shrinks
    and goes, then the next.

    The choice depends on the heights of the forms alone, so nothing moves while figures change.
    """
    chosen = {panel.name: 0 for panel in panels if not panel.extra}
    by_importance = sorted(panels, key=lambda panel: panel.importance)

    def n_lines() -> int:
        return sum(len(panel.forms[chosen[panel.name]]) for panel in panels if panel.name in chosen)

    for panel in by_importance:
        if panel.extra:
            continue
        while n_lines() > height and chosen[panel.name] < len(panel.forms) - 1:
            chosen[panel.name] += 1
        if n_lines() > height:
            del chosen[panel.name]
    gaps = n_lines() + len(chosen) - 1 <= height
    if gaps:
        for panel in reversed(by_importance):
            room = height - n_lines() - len(chosen)
            form = next((at for at, form in enumerate(panel.forms) if len(form) <= room), None)
            if panel.extra and form is not None:
                chosen[panel.name] = form
    rows: list[Row] = []
    for panel in panels:
        if panel.name in chosen:
            if rows and gaps:
                rows.append(("", BLANK))
            rows += [(panel.name, line) for line in panel.forms[chosen[panel.name]]]
    return rows[:height]


class PanelColumn(Lines):
    """The panels that the user wants, as many as the height allows. A click on one opens it, if `on_open` is set."""

    DEFAULT_CSS = """
    PanelColumn {
        width: 38;
        height: 1fr;
        padding: 0 1;
    }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.choice = PanelChoice()
        self.on_open: Callable[[str], None] | None = None
        self._names: list[str] = []
        self._room_for_extras: dict[tuple[int, str], bool] = {}

    def compose_lines(self, meter: RunMeter, model: ModelReady | None, width: int, height: int) -> Sequence[Line]:
        """Returns the panels that fit."""
        # What there is room for depends on the heights alone: no panel is drawn in vain five times a second.
        key = (height, self.choice.text)
        extras = self._room_for_extras.get(key, True)
        panels = sections(meter, model, width, self.setting, self.choice, extras=extras)
        rows = fit(panels, height)
        self._names = [name for name, _ in rows]
        self._room_for_extras[key] = any(panel.extra and panel.name in self._names for panel in panels)
        return [line for _, line in rows]

    def on_click(self, event: events.Click) -> None:
        """Opens the panel under the mouse."""
        at = event.get_content_offset(self)
        if self.on_open is not None and at is not None and at.y < len(self._names) and self._names[at.y]:
            self.on_open(self._names[at.y])
