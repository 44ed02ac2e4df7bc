"""Where every message stands: heights (estimated until seen), prefix sums, and lazy layout that keeps the view still.

Rows count from the top of the transcript. Knows no widget.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate

from app.tui.markdown.lines import Line
from app.tui.transcript.entry import Entry, EntryStyle


class Layout:
    """The entries in order. `look` is None until the width is known; then nothing can be laid out."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.look: EntryStyle | None = None
        self._tops = [0]

    @property
    def height(self) -> int:
        """Rows of everything."""
        return self._tops[-1]

    @property
    def n_laid(self) -> int:
        """Entries of which at least one part is laid out."""
        return sum(entry.n_laid > 0 for entry in self.entries)

    def clear(self) -> None:
        """Drops everything."""
        self.entries.clear()
        self._tops = [0]

    def add(self, entry: Entry) -> None:
        """Appends an entry, its height estimated."""
        if not entry.is_open:
            entry.estimate(self._width)
        self.entries.append(entry)
        self._tops.append(self._tops[-1] + entry.height)

    def set_look(self, look: EntryStyle) -> None:
        """Takes a new width or theme: every line is forgotten, every height estimated anew."""
        self.look = look
        for entry in self.entries:
            entry.estimate(look.width)
        self._tops = [0, *accumulate(entry.height for entry in self.entries)]

    def set_labels(self, labels: Mapping[int, str]) -> bool:
        """Labels the entries of these messages, and no others; returns whether anything has changed."""
        changed = [entry for entry in self.entries if entry.label != labels.get(entry.message_id or 0, "")]
        for entry in changed:
            entry.set_label(labels.get(entry.message_id or 0, ""), self._width)
        self._tops = [0, *accumulate(entry.height for entry in self.entries)]
        return bool(changed)

    def entry_of(self, message_id: int) -> int | None:
        """Returns the index of a message's entry."""
        return next((i for i, entry in enumerate(self.entries) if entry.message_id == message_id), None)

    def top_of(self, index: int) -> int:
        """Returns the row where an entry begins."""
        return self._tops[index]

    def changed(self, entry: Entry) -> None:
        """The height of an entry may have changed: what stands below it moves along."""
        index = len(self.entries) - 1
        while self.entries[index] is not entry:
            index -= 1
        grown = self._tops[index] + entry.height - self._tops[index + 1]
        if grown:
            self._tops[index + 1 :] = [top + grown for top in self._tops[index + 1 :]]

    def locate(self, row: int) -> tuple[int, int]:
        """Returns the entry at a row, and the row within it."""
        index = min(max(0, bisect_right(self._tops, row) - 1), max(0, len(self.entries) - 1))
        return index, row - self._tops[index]

    def anchor(self, row: int) -> tuple[int, int, int]:
        """Returns what stands at a row, whatever becomes of heights: entry, part, and row within the part."""
        index, within = self.locate(row)
        return (index, *self.entries[index].place(within)) if self.entries else (0, 0, 0)

    def rows_after(self, anchor: tuple[int, int, int]) -> int:
        """Returns how many rows stand below an anchor; what becomes of the heights above it changes nothing."""
        index, part, offset = anchor
        if index >= len(self.entries):
            return 0
        entry = self.entries[index]
        return self.height - self._tops[index] - entry.top_of(part) - min(offset, entry.height_of(part)) - 1

    def line(self, row: int) -> Line | None:
        """Returns the line at a row, if it is laid out and there is one."""
        if not 0 <= row < self.height:
            return None
        index, within = self.locate(row)
        return self.entries[index].line(within)

    def settle(self, top: int, n_rows: int) -> int:
        """Lays out what `n_rows` rows from `top` show; returns where `top` is now, so that what was seen stays put.

        What grows above the window, or reaches into it from above, moves the window along; the rest grows downwards.
        """
        if self.look is None or not self.entries:
            return top
        row = top = max(0, top)
        while row < min(top + n_rows, self.height):
            index, within = self.locate(row)
            entry = self.entries[index]
            part, offset = entry.place(within)
            if entry.is_open:
                grown = entry.lay(part, self.look)
                starts_above = offset > 0 and row == top
            else:
                before = entry.height
                entry.open(self.look.width)
                grown, starts_above = entry.height - before, within > 0 and row == top
                offset = -1
            if grown:
                self._tops[index + 1 :] = [value + grown for value in self._tops[index + 1 :]]
                if starts_above:
                    row = top = max(0, top + grown)
                    continue
            if offset >= 0:
                row += self._rows_left(entry, part, offset)
        return top

    def settle_anchor(self, anchor: tuple[int, int, int], n_rows: int) -> int:
        """Lays out a window that begins at an anchor (or where its part ends now); returns where it begins."""
        index, part, offset = anchor
        if index >= len(self.entries):
            return 0
        entry = self.entries[index]
        self.settle(self._tops[index] + entry.top_of(part), 1)
        top = self._tops[index] + entry.top_of(part) + min(offset, max(0, entry.height_of(part) - 1))
        return self.settle(top, n_rows)

    def settle_end(self, n_rows: int) -> int:
        """Lays out the last `n_rows` rows; returns where the window on them begins."""
        while True:
            height = self.height
            self.settle(height - n_rows, n_rows)
            if self.height == height:
                return max(0, height - n_rows)

    @staticmethod
    def _rows_left(entry: Entry, part: int, offset: int) -> int:
        return max(1, entry.height_of(part) - offset)

    @property
    def _width(self) -> int:
        return self.look.width if self.look is not None else 80
