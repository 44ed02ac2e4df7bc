"""How several replies share a screen: side by side where each gets room, else as tabs. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from app.analysis import units as numbers
from app.tui.steer.branch_state import Branch
from app.tui.widgets.bar import Segment

_MIN_WIDTH, _MIN_HEIGHT = 30, 9
"""Cells and lines below which a reply cannot be read in a column."""
_WIDE = 100


@dataclass(frozen=True)
class Arrangement:
    """Columns and rows of the grid; one column and one row are tabs."""

    n_columns: int
    n_rows: int

    @property
    def tabs(self) -> bool:
        """Whether only one reply is seen at a time."""
        return self.n_columns == 1


def arrange(n: int, width: int, height: int) -> Arrangement:
    """Returns how `n` replies are laid out in `width` × `height` cells, the rows as even as can be."""
    most = min(n, width // _MIN_WIDTH)
    if width >= _WIDE and most > 1:
        n_rows = ceil(n / most)
        n_columns = ceil(n / n_rows)
        if height // n_rows >= _MIN_HEIGHT:
            return Arrangement(n_columns, n_rows)
    return Arrangement(1, 1)


def tab_segments(branches: list[Branch], current: int, picked: int | None) -> list[Segment]:
    """Returns the tabs: number, speed, and a mark on the one that is shown and the one that was picked."""
    segments: list[Segment] = []
    for index, branch in enumerate(branches):
        mark = "▶" if index == current else " "
        star = "★" if index == picked else ""
        style = "bold $primary" if index == current else "$foreground-muted"
        segments.append(
            Segment(f"{mark}{index + 1}{star} {numbers.tps(branch.tps)}", style, f"screen.show({index})", 9 - index)
        )
    return segments
