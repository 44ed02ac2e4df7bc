"""The rule for tables: as in GFM, but no cell is lost, a pipe in code parts nothing, and a line without one is text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from markdown_it.rules_block import StateBlock

_DELIMITERS = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*\Z")
_BLANK = " \t"


class Cell(NamedTuple):
    """What stands in a cell: from `start` to `end`, without the backslashes before its pipes."""

    start: int
    end: int
    skipped: tuple[int, ...] = ()

    def content(self, source: str) -> str:
        """Returns its text."""
        return "".join(source[k] for k in self.offsets) if self.skipped else source[self.start : self.end]

    @property
    def offsets(self) -> list[int]:
        """Where each character of the content stands."""
        return [k for k in range(self.start, self.end) if k not in self.skipped]


def table(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """A row, a row of delimiters, and rows. Each inline token has its `cell` in its meta."""
    rule_line = start_line + 1
    if rule_line >= end_line or not _fits(state, start_line) or not _fits(state, rule_line):
        return False
    begin, stop = _bounds(state, rule_line)
    rule = state.src[begin:stop]
    if "|" not in rule or not _DELIMITERS.match(rule):
        return False
    head = cells(state.src, *_bounds(state, start_line))
    if not head:
        return False
    if silent:
        return True
    opened = state.push("table_open", "table", 1)
    opened.map = found = [start_line, 0]
    opened.meta["aligns"] = [_align(cell.content(state.src)) for cell in cells(state.src, begin, stop)]
    _row(state, head, start_line, "th")
    ends = state.md.block.ruler.getRules("blockquote")
    line = rule_line + 1
    while line < end_line and _fits(state, line) and not state.isEmpty(line):
        if any(ends_it(state, line, end_line, True) for ends_it in ends):
            break
        row = cells(state.src, *_bounds(state, line))
        if not row:
            break
        _row(state, row, line, "td")
        line += 1
    state.push("table_close", "table", -1)
    state.line = found[1] = line
    return True


def cells(source: str, start: int, end: int) -> list[Cell]:
    """Returns the cells of a line; none where no pipe parts any."""
    found: list[Cell] = []
    skipped: list[int] = []
    begin = at = start + source.startswith("|", start)
    while at < end:
        char = source[at]
        if char == "\\":
            skipped += [at] * source.startswith("|", at + 1)
            at += 1
        elif char == "`":
            skipped_there, at = _code(source, at, end)
            skipped += skipped_there
        elif char == "|":
            found.append(_cell(source, begin, at, skipped))
            begin, skipped = at + 1, []
        at += 1
    if source[begin:end].strip(_BLANK) and (found or begin > start):
        found.append(_cell(source, begin, end, skipped))
    return found


def _cell(source: str, start: int, end: int, skipped: list[int]) -> Cell:
    text = source[start:end]
    start += len(text) - len(text.lstrip(_BLANK))
    return Cell(start, max(start, end - len(text) + len(text.rstrip(_BLANK))), tuple(skipped))


def _code(source: str, at: int, end: int) -> tuple[list[int], int]:
    """Returns the backslashes before pipes in the code that begins at `at`, and its last character."""
    mark = re.compile(r"`+").match(source, at, end)
    marks = mark[0] if mark else "`"
    closing = re.compile(rf"(?<!`){marks}(?!`)").search(source, at + len(marks), end)
    if closing is None:
        return [], at + len(marks) - 1
    inside = range(at, closing.start())
    return [k for k in inside if source.startswith("\\|", k)], closing.end() - 1


def _row(state: StateBlock, row: list[Cell], line: int, tag: str) -> None:
    state.push("tr_open", "tr", 1).map = [line, line + 1]
    for cell in row:
        state.push(f"{tag}_open", tag, 1)
        inline = state.push("inline", "", 0)
        inline.content, inline.children = cell.content(state.src), []
        inline.meta["cell"] = cell
        state.push(f"{tag}_close", tag, -1)
    state.push("tr_close", "tr", -1)


def _align(delimiter: str) -> str:
    ends = delimiter.startswith(":"), delimiter.endswith(":")
    return {(True, True): "center", (False, True): "right"}.get(ends, "left")


def _fits(state: StateBlock, line: int) -> bool:
    return 0 <= state.sCount[line] - state.blkIndent <= 3


def _bounds(state: StateBlock, line: int) -> tuple[int, int]:
    return state.bMarks[line] + state.tShift[line], state.eMarks[line]
