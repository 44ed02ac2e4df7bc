"""Bars of block characters, one group a suite and unit, for any terminal that has them; no colours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from app.cli.benching.rows import RATE, Row

_EIGHTHS = " ▏▎▍▌▋▊▉"
_FULL = "█"
_SMALLEST_BAR = 8
_GAP = 2


def bars(rows: Sequence[Row], n_columns: int) -> Iterator[str]:
    """Yields lines of at most `n_columns` columns: a blank one, a title, then one bar a row; rates alone have bars.

    A suite with a single rate has nothing to be compared with and is left out, and so are all where it is too narrow.
    """
    shown = [row for row in rows if row.values and row.unit == RATE]
    for suite, group in groupby(shown, key=lambda row: row.suite):
        members = list(group)
        width = max(len(row.name) for row in members)
        room = n_columns - width - 2 * _GAP - len("12345.6")
        most = max(row.mean for row in members)
        if len(members) < 2 or room < _SMALLEST_BAR or most <= 0:
            continue
        yield ""
        yield f"{suite}, {RATE}"
        for row in members:
            yield f"{row.name:<{width}}  {bar(row.mean / most, room)}  {row.mean:.1f}"


def bar(share: float, width: int) -> str:
    """Returns `share` of `width` columns to an eighth of a column, padded; a sliver is the least there is."""
    eighths = max(round(max(0.0, min(1.0, share)) * width * 8), 1 if share > 0 else 0)
    whole, part = divmod(eighths, 8)
    return (_FULL * whole + (_EIGHTHS[part] if part else "")).ljust(width)
