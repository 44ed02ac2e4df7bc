"""Input fields that show what was typed or pasted into them without letting it act on the terminal."""

from __future__ import annotations

from textual.widgets import Input, TextArea
from textual.widgets.text_area import Edit, EditResult

from app.domain.text import safe_text


class LineInput(Input):
    """One line of text, made safe as it comes in: what is seen is what is used."""

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
