"""The side column of panels for wide screens."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events

from app.analysis.meter import RunMeter
from app.protocol.events import ModelReady
from app.tui.panels.choice import PanelChoice
from app.tui.panels.sections import fit, sections
from app.tui.widgets.line import Line
from app.tui.widgets.lines import Lines


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
