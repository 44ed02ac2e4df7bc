"""Tables to lines: columns as wide as their content, shrunk to the room there is, cells wrapped."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.style import Style

from app.tui.markdown.inline import HARD_BREAK, inline_spans
from app.tui.markdown.lines import LineBuilder, Span, cut_spans
from app.tui.markdown.styles import MarkdownStyles
from app.tui.markdown.wrap import wrap

if TYPE_CHECKING:
    from markdown_it.token import Token

MIN_COLUMN = 4
_BETWEEN = " │ "

Cell = list[Span]


def add_table(out: LineBuilder, tokens: Sequence[Token], styles: MarkdownStyles) -> None:
    """Adds the lines of the tokens of one table; with no room for its columns, each row as one wrapped line."""
    rows, aligns = _rows(tokens, styles)
    widths = _fit([max(_cells(row[k]) for row in rows) for k in range(len(aligns))], out.room)
    bar = (_BETWEEN, styles.muted)
    if not widths:
        for row in rows:
            out.flow([span for k, cell in enumerate(row) for span in ([bar, *cell] if k else cell)])
        return
    for n, row in enumerate(rows):
        wrapped = [_lines(cell, width) for cell, width in zip(row, widths, strict=True)]
        for parts in zip_longest(*wrapped, fillvalue=list[Span]()):
            spans: list[Span] = []
            for k, (part, width, align) in enumerate(zip(parts, widths, aligns, strict=True)):
                spans += [*([bar] if k else []), *_aligned(part, width, align, styles.base)]
            out.add(spans)
        if n == 0:
            out.add([("─┼─".join("─" * width for width in widths), styles.muted)])


def _rows(tokens: Sequence[Token], styles: MarkdownStyles) -> tuple[list[list[Cell]], list[str]]:
    rows: list[list[Cell]] = []
    aligns: list[str] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "th_open":
            aligns.append(str(token.attrs.get("style", "")).removeprefix("text-align:"))
        elif token.type == "inline":
            base = styles.table_head if len(rows) == 1 else styles.base
            cell = inline_spans(token.children or [], styles, base)
            rows[-1].append([(" " if text == HARD_BREAK else text, style) for text, style in cell])
    return [(row + [[] for _ in aligns])[: len(aligns)] for row in rows], aligns


def _cells(cell: Cell) -> int:
    return sum(cell_len(text) for text, _ in cell)


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


def _lines(cell: Cell, width: int) -> list[Cell]:
    return list(cut_spans(cell, wrap("".join(text for text, _ in cell), width)))


def _aligned(part: Cell, width: int, align: str, style: Style) -> Cell:
    free = max(0, width - _cells(part))
    left = {"right": free, "center": free // 2}.get(align, 0)
    return [(" " * left, style), *part, (" " * (free - left), style)]
