"""The palette: every command, its key and what it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from app.tui.commands import COMMANDS
from app.tui.keymap import Keymap
from app.tui.screens.picker import Picker, Row, matches


class Palette(Picker):
    """Result: the id of the command to run."""

    TITLE_TEXT: ClassVar[str] = "Commands"
    HINTS: ClassVar[str] = "Enter run   Esc close"

    def __init__(self, keymap: Keymap) -> None:
        super().__init__()
        self._keymap = keymap

    async def find(self, query: str) -> Sequence[Row]:
        """Returns the commands whose title, help or id has the words of `query`, nearest titles first."""
        found = [
            command
            for command in COMMANDS
            if command.id != "palette" and matches(query, command.title, command.help, command.id)
        ]
        found.sort(key=lambda command: _distance(query.casefold(), command.title.casefold()))
        return [Row(each.id, each.title, self._keymap.label(each.id), each.help) for each in found]


def _distance(query: str, title: str) -> int:
    return 0 if title.startswith(query) else 1 if query in title else 2
