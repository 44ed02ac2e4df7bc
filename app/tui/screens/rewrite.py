"""Rewrites the start of a reply: its text in an editor, cut and changed by hand, for the model to go on from."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static, TextArea

from app.domain.text import safe_text
from app.tui.screens.safe import Dialog
from app.tui.widgets.entry import TextInput


class Rewrite(Dialog[str]):
    """Result: the text that the reply shall begin with; None when it is left, or empty."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s,ctrl+enter", "go_on", show=False, priority=True),
        Binding("ctrl+t", "cut", show=False, priority=True),
        Binding("ctrl+home", "go_to_edge(False)", show=False, priority=True),
        Binding("ctrl+end", "go_to_edge(True)", show=False, priority=True),
    ]

    def __init__(self, text: str) -> None:
        """`text` is the reply as the model wrote it."""
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """Lays the dialog out."""
        with Vertical(classes="dialog dialog-tall"):
            yield Static("Rewrite the start of the reply", classes="dialog-title", markup=False)
            yield TextInput(safe_text(self._text), soft_wrap=True, tab_behavior="focus", highlight_cursor_line=False)
            yield Static(
                Content("Ctrl+T cut after the cursor   Ctrl+S continue from it   Esc leave"),
                classes="dialog-hints",
                markup=False,
            )

    def on_mount(self) -> None:
        """Puts the cursor at the end of the text."""
        area = self._area
        area.cursor_blink = False
        area.focus()
        area.move_cursor(area.document.end)

    def action_cut(self) -> None:
        """Deletes everything after the cursor."""
        area = self._area
        area.delete(area.cursor_location, area.document.end)

    def action_go_to_edge(self, end: bool) -> None:
        """Goes to the start or the end of the text."""
        area = self._area
        area.move_cursor(area.document.end if end else area.document.start)

    def action_go_on(self) -> None:
        """Ends the dialog with the text."""
        self.dismiss(self._area.text or None)

    @property
    def _area(self) -> TextArea:
        return self.query_one(TextArea)
