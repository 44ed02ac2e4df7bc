"""Terminal lines that remember how they were wrapped, and the builder that indents and wraps them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from rich.cells import cell_len, split_graphemes
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip


class WrapPiece(NamedTuple):
    """One visual line of a logical one: characters `start` to `end`, and what the wrapping took away before it."""

    start: int
    end: int
    glue: str


def wrap(text: str, width: int, *, words: bool = True) -> list[WrapPiece]:
    """Breaks one logical line at spaces (or, if not `words`, anywhere) into pieces of at most `width` cells.

    Words that are too long are chopped; between wide (CJK) characters a break is always allowed. At least one piece.
    """
    width = max(1, width)
    if len(text) <= width and (text.isascii() or cell_len(text) <= width):
        return [WrapPiece(0, len(text), "")]
    return _wrap_narrow(text, width, words) if text.isascii() else _wrap_cells(text, width, words)


def _wrap_narrow(text: str, width: int, words: bool) -> list[WrapPiece]:
    pieces: list[WrapPiece] = []
    at, glue = 0, ""
    while len(text) - at > width:
        cut = text.rfind(" ", at, at + width + 1) if words else -1
        if cut <= at or text[at:cut].isspace():
            pieces.append(WrapPiece(at, at + width, glue))
            at, glue = at + width, ""
            continue
        pieces.append(WrapPiece(at, cut, glue))
        at, glue = cut + 1, " "
    pieces.append(WrapPiece(at, len(text), glue))
    return pieces


def _wrap_cells(text: str, width: int, words: bool) -> list[WrapPiece]:
    pieces: list[WrapPiece] = []
    at, glue, used = 0, "", 0
    # The last place in this line where it may end, where the next would begin, and the cells up to there.
    end, resume, cells_before = -1, -1, 0
    for start, stop, size in split_graphemes(text)[0]:
        if size == 2 and words and start > at:
            end, resume, cells_before = start, start, used
        while used + size > width and start > at:
            if text[start] == " " and words:
                end, resume, cells_before = start, stop, used + size
            elif end <= at or text[at:end].isspace():
                end, resume, cells_before = start, start, used
            pieces.append(WrapPiece(at, end, glue))
            glue, at, used = text[end:resume], resume, used - cells_before
            end = -1
        if start < at:
            used = 0
            continue
        used += size
        if text[start] == " " and words and start > at:
            end, resume, cells_before = start, stop, used
    pieces.append(WrapPiece(at, len(text), glue))
    return pieces


Span = tuple[str, Style]
MARGIN = 2
"""Cells at the right edge that stay empty: one, and one that the scroll bar covers."""
MIN_CONTENT = 12
"""Cells that indents always leave for text, however deep they are nested."""


@dataclass(slots=True)
class Line:
    """One line of the screen, as wide as the transcript."""

    strip: Strip
    skip: int = 0
    """Leading characters that are not part of the logical text."""
    glue: str | None = None
    """None: begins a logical line. Else it continues the line before, joined by this."""
    aside: bool = False
    """Shown to explain what follows, and no part of the text: never copied."""

    @property
    def text(self) -> str:
        """What is shown, without trailing spaces; offsets of a selection count its characters."""
        return self.strip.text.rstrip()


@dataclass(slots=True)
class _Indent:
    first: Span
    rest: Span
    used: bool = False


class LineBuilder:
    """Collects lines `width` cells wide on a `base` style, under a stack of indents."""

    def __init__(self, width: int, base: Style, gutter: tuple[Span, Span]) -> None:
        self.width = max(1, width)
        self.base = base
        self.lines: list[Line] = []
        self._indents = [_Indent(*gutter)]
        self._n_gutter = len(gutter[1][0])
        self._marks: list[Span] = []
        """What stands before the next line without a room of its own."""

    @property
    def room(self) -> int:
        """Cells left for text."""
        return max(1, self.width - MARGIN - sum(cell_len(indent.rest[0]) for indent in self._indents))

    @contextmanager
    def indent(self, first: Span, rest: Span) -> Generator[None]:
        """Puts `first` before the next line and `rest` before those after it; too deep a nesting: only `first`."""
        if self.room - cell_len(rest[0]) < min(MIN_CONTENT, self.width // 2):
            self._marks.append(first)
            yield
            return
        self._indents.append(_Indent(first, rest))
        try:
            yield
        finally:
            self._indents.pop()

    def blank(self) -> None:
        """Adds an empty line (inside a quote: with its bar)."""
        self.add([])

    def flow(
        self,
        spans: Sequence[Span],
        *,
        words: bool = True,
        fill: Style | None = None,
        skip_all: bool = False,
        aside: bool = False,
    ) -> None:
        """Adds one logical line, wrapped; `skip_all`: none of the indent belongs to the logical text."""
        spans = self._with_marks(spans)
        text = "".join(span[0] for span in spans)
        pieces = wrap(text, self.room, words=words)
        if len(pieces) == 1:
            self.add(spans, fill=fill, skip_all=skip_all, aside=aside)
            return
        for part, piece in zip(cut_spans(spans, pieces), pieces, strict=True):
            glue = None if piece.start == 0 else piece.glue
            self.add(part, fill=fill, skip_all=skip_all, glue=glue, aside=aside)

    def _with_marks(self, spans: Sequence[Span]) -> Sequence[Span]:
        spans, self._marks = [*self._marks, *spans] if self._marks else spans, []
        return spans

    def add(
        self,
        spans: Sequence[Span],
        *,
        fill: Style | None = None,
        skip_all: bool = False,
        glue: str | None = None,
        aside: bool = False,
    ) -> None:
        """Adds one line of the screen that fits already; `aside`: it is no part of the text."""
        if self._marks:
            self.flow([])
        segments: list[Segment] = []
        n_prefix = cells = 0
        for indent in self._indents:
            text, style = indent.rest if indent.used else indent.first
            indent.used = True
            if text:
                segments.append(Segment(text, style))
                n_prefix += len(text)
                cells += cell_len(text)
        for text, style in spans:
            if text:
                segments.append(Segment(text, style))
                cells += cell_len(text)
        if fill is not None and cells < self.width - MARGIN:
            segments.append(Segment(" " * (self.width - MARGIN - cells), fill))
            cells = self.width - MARGIN
        if cells < self.width:
            segments.append(Segment(" " * (self.width - cells), self.base))
        strip = Strip(segments, max(cells, self.width))
        if cells > self.width:
            strip = strip.crop(0, self.width)
        skip = n_prefix if skip_all or glue is not None else min(self._n_gutter, n_prefix)
        self.lines.append(Line(strip, skip, glue, aside))


def cut_spans(spans: Sequence[Span], pieces: Sequence[WrapPiece]) -> Iterator[list[Span]]:
    """The spans of each piece, going down both lists once."""
    index, offset = 0, 0
    for piece in pieces:
        part: list[Span] = []
        while index < len(spans):
            text, style = spans[index]
            begin, stop = max(piece.start, offset), min(piece.end, offset + len(text))
            if begin < stop:
                part.append((text[begin - offset : stop - offset], style))
            if offset + len(text) > piece.end:
                break
            offset += len(text)
            index += 1
        yield part
