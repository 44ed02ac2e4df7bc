"""Input fields that show what was typed or pasted into them without letting it act on the terminal."""

from __future__ import annotations

from textual import events
from textual.widgets import Input, TextArea
from textual.widgets.text_area import Edit, EditResult

from app.domain.text import safe_text


class LineInput(Input):
    """One line of text, made safe as it comes in: what is seen is what is used.

    Textual's `Input` takes the first line of a paste only, and nothing of one that is too long: here a line end becomes
    a blank, and a notice says that the rest was left out.
    """

    def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        text = safe_text(" ".join(event.text.replace("\r\n", "\n").replace("\r", "\n").strip("\n").split("\n")))
        start, end = sorted(self.selection)
        room = self.max_length - len(self.value) + end - start if self.max_length else len(text)
        self.replace(text[:room], start, end)
        if room < len(text):
            self.notify(f"Only {self.max_length} characters fit here; the rest was left out.", severity="warning")

    def validate_value(self, value: str) -> str:
        """Makes a value that is set safe."""
        return safe_text(value)

    def insert_text_at_cursor(self, text: str) -> None:
        """Inserts text, made safe, and moves the cursor behind it."""
        super().insert_text_at_cursor(safe_text(text))

    def replace(self, text: str, start: int, end: int) -> None:
        """Replaces the characters from `start` to before `end` by text, made safe."""
        super().replace(safe_text(text), start, end)


class TextInput(TextArea):
    """Several lines of text, made safe as they come in."""

    def edit(self, edit: Edit) -> EditResult:
        """Performs an edit whose text is made safe first."""
        edit.text = safe_text(edit.text)
        return super().edit(edit)
