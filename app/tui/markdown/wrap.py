"""Breaks text into lines of so many terminal cells. Pure: text and widths in, character offsets out."""

from __future__ import annotations

from typing import NamedTuple

from rich.cells import cell_len, split_graphemes


class Piece(NamedTuple):
    """One visual line of a logical one: characters `start` to `end`, and what the wrapping took away before it."""

    start: int
    end: int
    glue: str


def wrap(text: str, width: int, *, words: bool = True) -> list[Piece]:
    """Breaks one logical line at spaces (or, if not `words`, anywhere) into pieces of at most `width` cells.

    Words that are too long are chopped; between wide (CJK) characters a break is always allowed. At least one piece.
    """
    width = max(1, width)
    if len(text) <= width and (text.isascii() or cell_len(text) <= width):
        return [Piece(0, len(text), "")]
    return _wrap_narrow(text, width, words) if text.isascii() else _wrap_cells(text, width, words)


def _wrap_narrow(text: str, width: int, words: bool) -> list[Piece]:
    pieces: list[Piece] = []
    at, glue = 0, ""
    while len(text) - at > width:
        cut = text.rfind(" ", at, at + width + 1) if words else -1
        if cut <= at or text[at:cut].isspace():
            pieces.append(Piece(at, at + width, glue))
            at, glue = at + width, ""
            continue
        pieces.append(Piece(at, cut, glue))
        at, glue = cut + 1, " "
    pieces.append(Piece(at, len(text), glue))
    return pieces


def _wrap_cells(text: str, width: int, words: bool) -> list[Piece]:
    pieces: list[Piece] = []
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
            pieces.append(Piece(at, end, glue))
            glue, at, used = text[end:resume], resume, used - cells_before
            end = -1
        if start < at:
            used = 0
            continue
        used += size
        if text[start] == " " and words and start > at:
            end, resume, cells_before = start, stop, used
    pieces.append(Piece(at, len(text), glue))
    return pieces
