"""Bars of block characters, one group a suite and unit, for any terminal that has them; no colours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from app.cli.benching.rows import RATE, Row
from app.tui.widgets.line import bar

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
            yield f"{row.name:<{width}}  {bar(row.mean / most, room):<{room}}  {row.mean:.1f}"
