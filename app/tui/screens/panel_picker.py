"""The panels by name: what is wanted of each, and which one to see as large as the screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from app.tui.panels.choice import PANELS, PanelChoice, Wish
from app.tui.screens.picker import Picker, Row, matches


class PanelPicker(Picker):
    """Enter changes what is wanted of a panel and stays. Result: the name of the panel to open, or None."""

    TITLE_TEXT: ClassVar[str] = "Panels"
    HINTS: ClassVar[str] = "Enter auto, always, hidden   F7 open large   Esc close"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("f7", "open", show=False, priority=True)]

    def __init__(self, choice: PanelChoice, changed: Callable[[], None]) -> None:
        """`changed` hears of every new wish."""
        super().__init__()
        self._choice = choice
        self._changed = changed

    async def find(self, query: str) -> Sequence[Row]:
        """Returns the panels whose name or purpose has the words of `query`."""
        wishes = {panel.name: self._choice.wish(panel.name) for panel in PANELS}
        return [
            Row(panel.name, panel.title, wishes[panel.name], panel.help, muted=wishes[panel.name] is Wish.HIDDEN)
            for panel in PANELS
            if matches(query, panel.name, panel.title, panel.help)
        ]

    def choose(self, row: Row) -> None:
        """Changes the wish in place of ending the dialog."""
        self._choice.change(row.id)
        self._changed()
        self.call_later(self.refill, row.id)

    def action_open(self) -> None:
        """Ends the dialog with the panel under the cursor."""
        if (row := self.highlighted) is not None:
            self.dismiss(row.id)
