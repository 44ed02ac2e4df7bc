"""Rows of text in columns, for terminals and for `awk`: no colours, no frames, two blanks between columns."""

from __future__ import annotations

from collections.abc import Sequence

from app.cli.console import print_line
from app.domain.text import one_line


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a header and rows, each column as wide as its widest cell; cells are made safe and one line."""
    cells = [list(header), *([one_line(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for row in cells:
        print_line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
