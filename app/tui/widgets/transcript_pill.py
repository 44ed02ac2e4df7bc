"""The pill that says there is text below; a click goes there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.message import Message
from textual.widgets import Static


class NewTextPill(Static):
    """The words "↓ new text", shown while the transcript does not follow its end. The screen places it."""

    DEFAULT_CSS = """
    NewTextPill {
        width: auto; height: 1; padding: 0 1; display: none;
        background: $primary; color: $text; text-style: bold;
    }
    NewTextPill.-shown { display: block; }
    """
    ALLOW_SELECT: ClassVar[bool] = False

    @dataclass
    class Pressed(Message):
        """The reader wants to go to the end."""

    def set_state(self, following: bool, new_lines: int) -> None:
        """Shows itself while not following; says whether there is anything new."""
        self.set_class(not following, "-shown")
        self.update(Text("↓ new text" if new_lines else "↓ to the end"))

    def on_click(self, event: events.Click) -> None:
        """Asks to follow."""
        event.stop()
        self.post_message(self.Pressed())
