"""The first frame: what the chat will look like in a moment, drawn in a few bytes before Textual is imported.

Takes the terminal over as Textual will: the alternate screen, no echo. `TerminalGuard` gives it back. Knows no theme,
and so no colours.
"""

from __future__ import annotations

import os
import sys
import termios
import tty

_SMALLEST = (40, 10)


def show(prompt: str) -> None:
    """Draws the frame, `prompt` in the place of the composer; never raises."""
    try:
        columns, lines = os.get_terminal_size(2)
        assert sys.__stdin__ is not None
        # What is typed from here on waits unseen for the composer.
        tty.setcbreak(sys.__stdin__.fileno(), termios.TCSANOW)
        os.write(2, ("\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J" + frame(columns, lines, prompt)).encode())
    except (OSError, termios.error):
        return


def frame(columns: int, lines: int, prompt: str) -> str:
    """Returns what draws the frame on an empty screen; nothing where the chat itself would say "too small"."""
    if columns < _SMALLEST[0] or lines < _SMALLEST[1]:
        return ""
    inner = columns - 4
    box = ["╭" + "─" * inner + "╮", "│ " + prompt[: inner - 2].ljust(inner - 1) + "│", "╰" + "─" * inner + "╯"]
    rows = {1: (2, f"{'tokscope':<{columns - 14}}○ starting"), 4: ((columns - 15) // 2 + 1, "t o k s c o p e")}
    rows |= {lines - 4 + i: (2, line) for i, line in enumerate(box)}
    return "".join(f"\x1b[{row};{column}H{text}" for row, (column, text) in rows.items())
