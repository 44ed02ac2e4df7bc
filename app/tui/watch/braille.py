"""A curve in braille dots, two to a cell across and four down, with level lines behind it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from app.tui.panels.line import Line

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_EMPTY = 0x2800
_CUT = "▲"


def plot(
    ranges: Sequence[tuple[float, float]], levels: Sequence[float], top: float, width: int, height: int
) -> list[Line]:
    """Returns `height` lines of `width` cells: each of `ranges` a stroke from low to high, 0 at the foot.

    They fill the columns from the left; more of them than columns share one. What is above `top` ends in ▲ at the edge.
    """
    if not top or width < 1:
        return [((" " * width, "text"),)] * height
    n_columns, n_rows = width * 2, height * 4
    data = [[0] * width for _ in range(height)]
    lines = [[0] * width for _ in range(height)]
    for level in levels:
        row = row_of(level, top, n_rows)
        for column in range(0, n_columns, 4):
            lines[row // 4][column // 2] |= _DOTS[row % 4][column % 2]
    cut: set[int] = set()
    step = min(1.0, (n_columns - 1) / max(1, len(ranges) - 1)) if len(ranges) > n_columns else 1.0
    for index, (low, high) in enumerate(ranges):
        column = min(n_columns - 1, int(index * step))
        if high > top:
            cut.add(column // 2)
        for row in range(row_of(high, top, n_rows), row_of(low, top, n_rows) + 1):
            data[row // 4][column // 2] |= _DOTS[row % 4][column % 2]
    first, *rest = [_line(dots, under) for dots, under in zip(data, lines, strict=True)]
    return [_marked(first, cut), *rest]


def _marked(line: Line, cells: Collection[int]) -> Line:
    chars = [(char, role) for text, role in line for char in text]
    return tuple((_CUT, "warn") if at in cells else span for at, span in enumerate(chars)) if cells else line


def row_of(value: float, top: float, n_rows: int) -> int:
    """Returns the row of dots, from above, that `value` lies in."""
    return n_rows - 1 - min(n_rows - 1, max(0, round(value / top * (n_rows - 1))))


def _line(dots: Sequence[int], under: Sequence[int]) -> Line:
    spans: list[tuple[str, str]] = []
    for dot, line in zip(dots, under, strict=True):
        role = "spark" if dot else "dim"
        char = chr(_EMPTY | dot | line) if dot | line else " "
        if spans and spans[-1][1] == role:
            spans[-1] = (spans[-1][0] + char, role)
        else:
            spans.append((char, role))
    return tuple(spans)
