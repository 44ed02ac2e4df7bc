"""Spans that remember where each character stands in its source, and the cell of a line asked for it.

A place is an offset into the text of the block. It travels as `meta` of the style, so that wrapping, tables, indents
and padding need not know of it. Made for a click only: what is on the screen carries none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import split_graphemes
from rich.style import Style

from app.domain.text import safe_text
from app.tui.markdown.lines import Line, Span

TAB = 4
_PLACE, _RUN = "place", "run"


def placed(spans: Sequence[Span], places: Sequence[int]) -> list[Span]:
    """Returns the spans cut into what a reader takes for one character, each at its place.

    Beyond `places`, and where a place is negative, it has none.
    """
    found: list[Span] = []
    at = 0
    for text, style in spans:
        for start, stop, _ in split_graphemes(text)[0]:
            place = places[at + start] if at + start < len(places) else -1
            own = style + Style(meta={_PLACE: place}) if place >= 0 else style
            found.append((text[start:stop], own))
        at += len(text)
    return found


def placed_run(style: Style, places: range) -> Style:
    """Returns the style of a text that is never cut and begins with narrow characters at `places`."""
    return style + Style(meta={_PLACE: places.start, _RUN: len(places)}) if places else style


def rows_of(text: str, places: Sequence[int]) -> list[list[int]]:
    """Returns the places of each line that `text` is shown as, made safe and its tabs expanded; nothing without any."""
    rows: list[list[int]] = [[]] if places else []
    for char, place in zip(text, places, strict=False):
        if char == "\n":
            rows.append([])
        else:
            row = rows[-1]
            row += [place] * (TAB - len(row) % TAB if char == "\t" else len(safe_text(char)))
    return rows


def places_in(line: Line) -> Iterator[tuple[int, str, int]]:
    """The characters of the source that a line shows: where in its text each begins, what is shown, and its place."""
    x = 0
    for segment in line.strip:
        meta = segment.style.meta if segment.style is not None else {}
        place: int | None = meta.get(_PLACE)
        if place is not None and _RUN in meta:
            yield from ((x + k, segment.text[k], place + k) for k in range(min(meta[_RUN], len(segment.text))))
        elif place is not None:
            yield x, segment.text, place
        x += len(segment.text)


def place_at(line: Line, cell: int) -> int | None:
    """Returns the place of what is shown in a cell; None where that is no text of the source."""
    for segment in line.strip:
        if cell < segment.cell_length:
            meta = segment.style.meta if segment.style is not None else {}
            run: int | None = meta.get(_RUN)
            if run is None:
                return meta.get(_PLACE)
            return meta[_PLACE] + cell if cell < run else None
        cell -= segment.cell_length
    return None
