"""What a selection copies: a stretch of each message's text, exactly as it was written.

It goes from the first to the last character that is selected. Where whole lines are, their marks go with them; where
all between two marks is, and one of them, so does the other; of a table it is one cell's text or whole rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from textual.geometry import Offset
from textual.selection import Selection

from app.tui.markdown.blocks import BlockKind
from app.tui.transcript.entry import GUTTER, Entry, EntryStyle, Voice
from app.tui.transcript.laid import Laid, Shown, shown_text
from app.tui.transcript.layout import Layout
from app.tui.transcript.selection import before_safe, logical_text

Spot = tuple[int, int]
"""A row of an entry, and a character of it."""


def copied(layout: Layout, selection: Selection) -> str:
    """Returns the text of a selection, messages parted by a blank line; notes and notices as they are shown."""
    start, end = selection.start, selection.end
    if layout.look is None or (end is not None and end.y < 0):
        return ""
    found: list[str] = []
    for index, entry in enumerate(layout.entries):
        top = layout.top_of(index)
        if (end is not None and end.y < top) or (start is not None and start.y >= top + entry.height):
            continue
        first = None if start is None or start.y < top else (start.y - top, start.x)
        last = None if end is None or end.y >= top + entry.height else (end.y - top, end.x)
        found.append("" if entry.voice is Voice.NOTICE else copied_from(entry, first, last, layout.look))
        if (foot := _n_own(entry)) < len(entry.parts):
            found.append(_note(layout, top + entry.top_of(foot), top + entry.height, selection))
    found = [text for text in found if text]
    return "\n\n".join([*(text.rstrip("\n") for text in found[:-1]), *found[-1:]])


def copied_from(entry: Entry, first: Spot | None, last: Spot | None, look: EntryStyle) -> str:
    """Returns the text of an entry from one spot to before another; None: from its start, to its end."""
    to_end = last is None or _is_behind(entry, last)
    if not (entry.is_open and entry.parts) or ((first is None or (first[0] == 0 and first[1] < GUTTER)) and to_end):
        return entry.source[entry.shown_from :]
    stretch = _Search(entry, first or (0, 0), last or (entry.height, 0), look).stretch()
    if stretch is None:
        return ""
    start, end = _with_marks(shown_text(entry), stretch)
    start, end = max(start, stretch.parts[0].begin), min(end, stretch.parts[1].end)
    if first is None or stretch.from_start:
        return entry.source[entry.shown_from : None if to_end else before_safe(entry, end)]
    return entry.source[before_safe(entry, start) : None if to_end else before_safe(entry, end)]


def _is_behind(entry: Entry, spot: Spot) -> bool:
    """Whether nothing of the message's text stands behind a spot."""
    part, row = entry.place(spot[0])
    n_own = _n_own(entry)
    return part >= n_own or (part == n_own - 1 and row >= entry.height_of(part))


def _n_own(entry: Entry) -> int:
    """How many parts are of the message itself."""
    return sum(each.block.kind not in (BlockKind.NOTE, BlockKind.FAILURE) for each in entry.parts)


def _note(layout: Layout, first: int, end: int, selection: Selection) -> str:
    """What is selected of the rows from `first` to before `end`, as it is shown."""
    begin, stop = Offset(0, first), Offset(0, end)
    if selection.start is not None and selection.start.y >= first:
        begin = selection.start
    if selection.end is not None and selection.end.y < end:
        stop = selection.end
    return logical_text(layout.line, layout.height, Selection(begin, stop)).strip("\n") if begin.y <= stop.y else ""


@dataclass(slots=True)
class _Stretch:
    start: int
    end: int
    parts: tuple[Laid, Laid]
    """Where it begins and where it ends."""
    from_line: bool
    """It begins where a line of the text does."""
    to_line: bool
    from_start: bool


class _Search:
    """Finds what is selected of one entry."""

    def __init__(self, entry: Entry, first: Spot, last: Spot, look: EntryStyle) -> None:
        self._entry, self._first, self._last, self._look = entry, first, last, look
        self._laid: dict[int, Laid] = {}

    def stretch(self) -> _Stretch | None:
        entry = self._entry
        (part_a, row_a), (part_b, _) = entry.place(self._first[0]), entry.place(self._last[0])
        begin, begins = next(self._selected(range(part_a, part_b + 1)), (None, None))
        if begin is None or begins is None:
            return None
        end, ends = next(self._selected(range(part_b, part_a - 1, -1)), (begin, begins))
        a, b = self._part(begin), self._part(end)
        top, bottom = min(begins), max(ends)
        all_a, all_b = a.row(top), b.row(bottom)
        from_line = begins[top][0] == all_a[0] and not a.continues(top)
        to_line = ends[bottom][-1] == all_b[-1] and not b.goes_on(bottom)
        whole = from_line and to_line
        several = begin != end or top != bottom
        return _Stretch(
            min(shown.start for row in begins.values() for shown in row),
            max(shown.end for row in ends.values() for shown in row),
            (a, b),
            from_line and (whole or several),
            to_line and (whole or several),
            (part_a, row_a) == (0, 0)
            and self._first[1] < GUTTER
            and from_line
            and (whole or several)
            and not a.is_code,
        )

    def _selected(self, parts: range) -> Iterator[tuple[int, dict[int, list[Shown]]]]:
        """The parts in which characters of the text are selected, and those of each row."""
        for part in parts:
            laid = self._part(part)
            top = self._entry.top_of(part)
            rows = {row: self._within(laid.row(row), top + row) for row in range(laid.n_rows)}
            if any(rows.values()):
                yield part, {row: shown for row, shown in rows.items() if shown}

    def _within(self, row: list[Shown], at: int) -> list[Shown]:
        """What is selected of a row of the entry."""
        if not self._first[0] <= at <= self._last[0]:
            return []
        begin = self._first[1] if at == self._first[0] else 0
        return [shown for shown in row if shown.x >= begin and (at < self._last[0] or shown.x < self._last[1])]

    def _part(self, part: int) -> Laid:
        if part not in self._laid:
            self._laid[part] = Laid(self._entry, part, self._look)
        return self._laid[part]


def _with_marks(text: str, stretch: _Stretch) -> tuple[int, int]:
    start, end = stretch.start, stretch.end
    units = [part.units() for part in stretch.parts]
    for table in [table for _, tables in units for table in tables]:
        if not any(a <= start and end <= b for a, b in table.cells):
            stretch.from_line |= table.start <= start < table.end
            stretch.to_line |= table.start < end <= table.end
    if stretch.from_line:
        start = text.rfind("\n", 0, start) + 1
    if stretch.to_line:
        end = len(text) if (after := text.find("\n", end)) < 0 else after
    before = None
    while before != (start, end):
        before = start, end
        for unit in [unit for found, _ in units for unit in found]:
            if start <= unit.start and end == unit.inner_end:
                end = unit.end
            if end >= unit.end and start == unit.inner:
                start = unit.start
    return start, end
