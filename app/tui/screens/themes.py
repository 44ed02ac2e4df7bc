"""The theme picker: the app wears each theme as the cursor comes to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from textual.theme import Theme

from app.tui.screens.picker import Picker, Row, matches


class ThemePicker(Picker):
    """Result: the name of a theme; on None the app must go back to the one it wore."""

    TITLE_TEXT: ClassVar[str] = "Themes"
    HINTS: ClassVar[str] = "Enter keep   Esc go back"

    def __init__(self, themes: Mapping[str, Theme], current: str, preview: Callable[[str], None]) -> None:
        super().__init__()
        self._themes = themes
        self._current = current
        self._preview = preview

    async def find(self, query: str) -> Sequence[Row]:
        """Returns the themes whose name or kind has the words of `query`."""
        kinds = {name: self._kind(theme) for name, theme in self._themes.items()}
        return [
            Row(name, name, kinds[name], current=name == self._current)
            for name in self._themes
            if matches(query, name, kinds[name])
        ]

    def row_highlighted(self, row: Row) -> None:
        """Wears the theme under the cursor."""
        self._preview(row.id)

    @staticmethod
    def _kind(theme: Theme) -> str:
        return "your terminal's colours" if theme.ansi else "dark" if theme.dark else "light"
