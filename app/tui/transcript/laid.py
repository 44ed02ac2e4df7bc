"""A part of a message laid out again so that each character knows where it stands in the message's text."""

from __future__ import annotations

from typing import NamedTuple

from app.domain.text import safe_text
from app.tui.markdown.blocks import BlockKind
from app.tui.markdown.lines import Line
from app.tui.markdown.origin import fence_around, line_starts
from app.tui.markdown.places import place_at, places_in
from app.tui.markdown.placing import Table, Unit, units_of
from app.tui.markdown.render import render
from app.tui.transcript.entry import Entry, EntryStyle, Voice


class Shown(NamedTuple):
    """A character on the screen: its place in the line's text, and what it shows of the message's text."""

    x: int
    start: int
    end: int


class Laid:
    """One part. Offsets are into `text`: the message's, made safe where the parts are.

    Nothing of a note, or of a message that is awaited, is of the text.
    """

    def __init__(self, entry: Entry, part: int, look: EntryStyle) -> None:
        self.text = shown_text(entry)
        self._block = entry.parts[part].block
        thinks = self._block.kind is BlockKind.THINKING
        first = 1 if thinks else min(part, entry.n_head)
        self.begin = len(safe_text(entry.source[: entry.start_of(part)]))
        """Where the thinking or the answer that it is a part of begins in the text."""
        self.end = len(safe_text(entry.source[: entry.thinking.end])) if thinks and entry.thinking else len(self.text)
        """Where that ends."""
        self._blocks = [each.block for each in entry.parts[first:]]
        self._part = part - first
        self._starts = [self.begin + at for at in line_starts(self.text[self.begin :], self._blocks, self._part)]
        self._skipped = int(part > 0 and self._block.gap)
        gutter = look.gutter(entry.voice, is_first=part == 0)
        self.lines: list[Line] = []
        if self._starts:
            self.lines = render(self._block, look.width, look.styles, gutter, with_places=True)

    def offset_at(self, row: int, cell: int) -> int | None:
        """Returns the offset of what stands in a cell of a row of the part; None where that is nothing of the text."""
        line = self._line(row)
        place = place_at(line, cell) if line is not None else None
        return self._offset(place) if place is not None else None

    def row(self, row: int) -> list[Shown]:
        """Returns the characters of the text that a row shows."""
        line = self._line(row)
        if line is None:
            return []
        if line.aside and self.is_code and (fence := self.fence) is not None:
            return [Shown(len(line.text) - 1, fence.start, len(self.text[: fence.inner].removesuffix("\n")))]
        return [self._shown(*found) for found in places_in(line)]

    def goes_on(self, row: int) -> bool:
        """Whether the row after this one continues its line."""
        line = self._line(row + 1)
        return line is not None and line.glue is not None

    def continues(self, row: int) -> bool:
        """Whether a row continues the line of the one before."""
        line = self._line(row)
        return line is not None and line.glue is not None

    @property
    def is_code(self) -> bool:
        """Whether it is of a fence that stands by itself."""
        return self._block.kind is BlockKind.CODE

    @property
    def n_rows(self) -> int:
        """Rows, with the blank one that may part it from what stands before."""
        return len(self.lines) + self._skipped

    @property
    def fence(self) -> Unit | None:
        """The fence that a part of code is from."""
        fence = fence_around(self.text[self.begin :], self._blocks, self._part) if self.is_code else None
        return fence and Unit(*(self.begin + at for at in fence))

    def units(self) -> tuple[list[Unit], list[Table]]:
        """Returns what belongs together in it."""
        if not self._starts or self._block.kind in (BlockKind.PLAIN, BlockKind.THINKING):
            return [], []
        if (fence := self.fence) is not None:
            return [fence], []
        units, tables = units_of(self._block.text)
        at = self._offset
        return [Unit(*map(at, unit)) for unit in units], [
            Table(at(table.start), at(table.end), [(at(start), at(end)) for start, end in table.cells])
            for table in tables
        ]

    def _line(self, row: int) -> Line | None:
        row -= self._skipped
        return self.lines[row] if 0 <= row < len(self.lines) else None

    def _shown(self, x: int, text: str, place: int) -> Shown:
        start = self._offset(place)
        return Shown(x + len(text) - 1, start, start + (len(text) if self.text.startswith(text, start) else 1))

    def _offset(self, place: int) -> int:
        before = self._block.text[:place]
        return max(0, self._starts[before.count("\n")] + place - before.rfind("\n") - 1)


def shown_text(entry: Entry) -> str:
    """Returns the text that an entry's parts are from."""
    return safe_text(entry.source) if entry.voice is Voice.ASSISTANT else entry.source
