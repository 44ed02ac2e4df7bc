"""Tables to lines: columns as wide as their content, shrunk to the room there is, cells wrapped."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.style import Style

from app.tui.markdown.inline import inline_lines
from app.tui.markdown.lines import LineBuilder, Span, cut_spans, wrap
from app.tui.markdown.places import placed_run
from app.tui.markdown.styles import MarkdownStyles

if TYPE_CHECKING:
    from markdown_it.token import Token

MIN_COLUMN = 4
_BETWEEN = " │ "

Spans = list[Span]
Cell = list[Spans]
"""Its lines."""


def add_table(out: LineBuilder, tokens: Sequence[Token], styles: MarkdownStyles) -> None:
    """Adds the lines of the tokens of one table; with no room for its columns, each row as wrapped lines."""
    rows, aligns = _rows(tokens, styles)
    widths = _fit([max(_cells(line) for row in rows for line in row[k]) for k in range(len(aligns))], out.room)
    bar = (_BETWEEN, styles.muted)
    if not widths:
        for row in rows:
            for parts in zip_longest(*row, fillvalue=Spans()):
                out.flow([span for k, part in enumerate(parts) for span in ([bar, *part] if k else part)])
        return
    for n, row in enumerate(rows):
        wrapped = [_wrapped(cell, width) for cell, width in zip(row, widths, strict=True)]
        for parts in zip_longest(*wrapped, fillvalue=Spans()):
            spans: Spans = []
            for k, (part, width, align) in enumerate(zip(parts, widths, aligns, strict=True)):
                spans += [*([bar] if k else []), *_aligned(part, width, align, styles.base)]
            out.add(spans)
        if n == 0:
            rule = placed_run(styles.muted, tokens[0].meta.get("places", range(0)))
            out.add([("─┼─".join("─" * width for width in widths), rule)])


def _rows(tokens: Sequence[Token], styles: MarkdownStyles) -> tuple[list[list[Cell]], list[str]]:
    """The cells of each row, as many as the longest has, and where each column stands."""
    rows: list[list[Cell]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            base = styles.table_head if len(rows) == 1 else styles.base
            rows[-1].append(inline_lines(token.children or [], styles, base, tags=True))
    aligns: list[str] = tokens[0].meta["aligns"]
    n_columns = max(len(aligns), *map(len, rows))
    return [row + [[[]]] * (n_columns - len(row)) for row in rows], (aligns + ["left"] * n_columns)[:n_columns]


def _cells(spans: Spans) -> int:
    return sum(cell_len(text) for text, _ in spans)


def _fit(natural: list[int], room: int) -> list[int]:
    """Takes from the widest columns until the table fits; empty if it cannot."""
    room -= len(_BETWEEN) * (len(natural) - 1)
    if room < MIN_COLUMN * len(natural):
        return [] if sum(natural) > room else natural
    widest = max(natural)
    while widest > MIN_COLUMN and sum(min(width, widest) for width in natural) > room:
        widest -= 1
    widths = [min(width, widest) for width in natural]
    for k, width in enumerate(natural):
        if widths[k] < width and sum(widths) < room:
            widths[k] += 1
    return widths


def _wrapped(cell: Cell, width: int) -> list[Spans]:
    return [part for line in cell for part in cut_spans(line, wrap("".join(text for text, _ in line), width))]


def _aligned(part: Spans, width: int, align: str, style: Style) -> Spans:
    free = max(0, width - _cells(part))
    left = {"right": free, "center": free // 2}.get(align, 0)
    return [(" " * left, style), *part, (" " * (free - left), style)]
