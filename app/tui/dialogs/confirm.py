"""Two small dialogs: a question with yes and no, and a line of text to be given."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Input, Static

from app.tui.common.safe import Dialog
from app.tui.widgets.entry import LineInput


class Confirm(Dialog[bool]):
    """Asks before something is done. Result: True for yes; the safe answer has the focus."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", show=False),
        Binding("n", "answer(False)", show=False),
        Binding("left,right", "app.focus_next", show=False),
    ]

    def __init__(self, question: str, yes: str, no: str) -> None:
        """`question` is safe text; `yes` and `no` are the buttons' words."""
        super().__init__()
        self._question, self._yes, self._no = question, yes, no

    def compose(self) -> ComposeResult:
        """Lays the dialog out."""
        with Vertical(classes="dialog dialog-small"):
            yield Static(Content(self._question), classes="dialog-title", markup=False)
            with Horizontal(classes="dialog-buttons"):
                yield Button(Content(self._no), id="no")
                yield Button(Content(self._yes), id="yes", variant="error")

    def on_mount(self) -> None:
        """Puts the focus on the safe answer."""
        self.query_one("#no").focus()

    def action_answer(self, yes: bool) -> None:
        """Answers by key."""
        self.dismiss(yes)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")


class AskLine(Dialog[str]):
    """Asks for one line of text. Result: the text without blanks around it; None when it is left or empty."""

    def __init__(self, title: str, value: str) -> None:
        """`value` is what stands in the field at first."""
        super().__init__()
        self._title, self._value = title, value

    def compose(self) -> ComposeResult:
        """Lays the dialog out."""
        with Vertical(classes="dialog dialog-small"):
            yield Static(Content(self._title), classes="dialog-title", markup=False)
            yield LineInput(self._value, max_length=200)
            yield Static("Enter save   Esc cancel", classes="dialog-hints", markup=False)

    def on_mount(self) -> None:
        """Puts the focus into the field."""
        self.query_one(Input).focus()

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip() or None)
