"""The first frame, drawn without Textual."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from app.tui.terminal.splash import frame


def screen(columns: int, lines: int) -> list[str]:
    rows = [" " * columns for _ in range(lines)]
    for row, column, text in re.findall(r"\x1b\[(\d+);(\d+)H([^\x1b]*)", frame(columns, lines, "Ask anything")):
        at, start = int(row) - 1, int(column) - 1
        rows[at] = rows[at][:start] + text + rows[at][start + len(text) :]
    return rows


@pytest.mark.parametrize(("columns", "lines"), [(40, 10), (80, 24), (81, 25), (200, 50)])
def test_it_fills_the_screen_and_no_more(columns: int, lines: int) -> None:
    rows = screen(columns, lines)
    assert [len(row) for row in rows] == [columns] * lines
    assert rows[0] == f" {'tokscope':<{columns - 14}}○ starting" + " " * 3
    assert rows[3].strip() == "t o k s c o p e"
    assert rows[-5] == f" ╭{'─' * (columns - 4)}╮ "
    assert rows[-4] == f" │ {'Ask anything':<{columns - 5}}│ "
    assert rows[-3] == f" ╰{'─' * (columns - 4)}╯ "


@pytest.mark.parametrize(("columns", "lines"), [(39, 24), (80, 9)])
def test_a_screen_that_is_too_small_stays_empty(columns: int, lines: int) -> None:
    assert frame(columns, lines, "Ask anything") == ""


def test_it_needs_nothing_slow() -> None:
    code = "import sys, app.tui.terminal.splash; print({'textual', 'rich', 'asyncio', 'msgspec'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
