"""Text under a selection or a click: words and paragraphs, cells to highlight, the character of a cell."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import accumulate
from typing import NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Offset
from textual.selection import Selection
from textual.strip import Strip

from app.domain.text import safe_text
from app.tui.markdown.lines import Line
from app.tui.transcript.entry import Entry, EntryStyle, Voice
from app.tui.transcript.laid import Laid, shown_text
from app.tui.transcript.layout import Layout


def character_at(entry: Entry, part: int, row: int, cell: int, look: EntryStyle) -> int | None:
    """Returns the offset in `entry.source` of the character in a cell of a row of a part.

    None for anything that is not text of a reply: indents of bullets, borders, padding, notes, other messages.
    """
    if entry.voice is not Voice.ASSISTANT or part >= len(entry.parts):
        return None
    at = Laid(entry, part, look).offset_at(row, cell)
    return None if at is None else before_safe(entry, at)


class Pressed(NamedTuple):
    """Where the button went down: the cell of the screen, and what was there."""

    where: Offset
    entry: int
    part: int
    row: int
    cell: int


def text_at(layout: Layout, pressed: Pressed) -> tuple[int, int] | None:
    """Returns the message that was pressed and the UTF-8 bytes of its content before the character, if any."""
    if layout.look is None or pressed.entry >= len(layout.entries):
        return None
    entry = layout.entries[pressed.entry]
    at = character_at(entry, pressed.part, pressed.row, pressed.cell, layout.look)
    if at is None or entry.message_id is None:
        return None
    return entry.message_id, len(entry.source[:at].encode())


def reply_at(layout: Layout, row: int) -> int | None:
    """Returns the id of the reply in a row, if there is one."""
    if not layout.entries or not 0 <= row < layout.height:
        return None
    entry = layout.entries[layout.locate(row)[0]]
    return entry.message_id if entry.voice is Voice.ASSISTANT else None


def fold_at(layout: Layout, row: int) -> Entry | None:
    """Returns the reply whose line above the thinking is in a row."""
    if not layout.entries or not 0 <= row < layout.height:
        return None
    index, within = layout.locate(row)
    entry = layout.entries[index]
    return entry if entry.n_head and entry.place(within) == (0, 0) else None


def before_safe(entry: Entry, at: int) -> int:
    """Returns the offset in `entry.source` for an offset in the text as it is shown."""
    if len(entry.source) == len(shown_text(entry)):
        return at
    ends = accumulate(len(safe_text(char)) for char in entry.source)
    return next((k for k, end in enumerate(ends) if end > at), len(entry.source))


LineAt = Callable[[int], Line | None]

_WORD = re.compile(r"[\w'’.@/:-]*\w|[^\w\s]+", re.UNICODE)


def logical_text(line_at: LineAt, n_rows: int, selection: Selection) -> str:
    """Returns the text of a selection over `n_rows` rows."""
    first = max(0, selection.start.y) if selection.start is not None else 0
    last = min(selection.end.y if selection.end is not None else n_rows - 1, n_rows - 1)
    found: list[str] = []
    for row in range(first, last + 1):
        span = selection.get_span(row)
        if span is None:
            continue
        line = line_at(row)
        if line is not None and line.aside:
            continue
        text = line.text if line is not None else ""
        skip = line.skip if line is not None else 0
        begin, end = span
        piece = text[max(begin, skip) : len(text) if end < 0 else end].rstrip()
        if found and line is not None and line.glue is not None:
            found[-1] += line.glue + piece
        else:
            found.append(piece)
    return "\n".join(found)


def word_at(line_at: LineAt, at: Offset) -> Selection | None:
    """Returns the selection of the word at an offset."""
    line = line_at(at.y)
    if line is None or line.aside:
        return None
    for found in _WORD.finditer(line.text, line.skip):
        if found.start() <= at.x < found.end():
            return Selection(Offset(found.start(), at.y), Offset(found.end(), at.y))
    return None


def paragraph_at(line_at: LineAt, row: int) -> Selection | None:
    """Returns the selection of the logical line at a row."""
    line = line_at(row)
    if line is None or line.aside:
        return None
    first = last = row
    while line is not None and line.glue is not None:
        first -= 1
        line = line_at(first)
    while (after := line_at(last + 1)) is not None and after.glue is not None:
        last += 1
    begin, end = line_at(first), line_at(last)
    if begin is None or end is None:
        return None
    return Selection(Offset(begin.skip, first), Offset(len(end.text), last))


def highlight(strip: Strip, span: tuple[int, int], style: Style) -> Strip:
    """Returns `strip` with the background of `style` (reversed, if it has none) on a span of characters."""
    text = strip.text
    begin = cell_len(text[: span[0]])
    end = strip.cell_length if span[1] < 0 else cell_len(text[: span[1]])
    if end <= begin:
        return strip
    before, chosen, after = strip.divide([begin, end, strip.cell_length])
    mark = Style(bgcolor=style.bgcolor) if style.bgcolor is not None else Style(reverse=True)
    marked = [Segment(piece, (own or Style.null()) + mark) for piece, own, _ in chosen]
    return Strip.join([before, Strip(marked, chosen.cell_length), after])
