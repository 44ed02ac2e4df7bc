"""What belongs together in the text of a block: marks and what they mark, cells and their table. For a copy."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from app.tui.markdown.placing import placed_tokens

if TYPE_CHECKING:
    from markdown_it.token import Token


class Unit(NamedTuple):
    """Offsets: an opening mark from `start` to `inner`, what it marks up to `inner_end`, a closing mark up to `end`."""

    start: int
    inner: int
    inner_end: int
    end: int


class Table(NamedTuple):
    """Offsets: where a table stands, and where what is in its cells does."""

    start: int
    end: int
    cells: list[tuple[int, int]]


def units_of(text: str) -> tuple[list[Unit], list[Table]]:
    """Returns the units and tables of a Markdown block."""
    tops = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    units: list[Unit] = []
    tables: list[Table] = []
    for token in placed_tokens(text):
        first, after = token.map or (0, 0)
        match token.type:
            case "table_open":
                tables.append(Table(tops[first], tops[after] - 1, []))
            case "fence":
                units.append(_fence(token, tops, first, after))
            case "inline":
                if "cell" in token.meta:
                    tables[-1].cells.append((token.meta["cell"].start, token.meta["cell"].end))
                units += _inline(token.children or [])
            case _:
                pass
    return units, tables


def _fence(token: Token, tops: list[int], first: int, after: int) -> Unit:
    inner_end = max(tops[first + 1], tops[first + 1 + token.content.count("\n")] - 1)
    return Unit(tops[first], tops[first + 1], inner_end, tops[after] - 1)


def _inline(children: list[Token]) -> list[Unit]:
    found: list[Unit] = []
    opened: list[tuple[int, int]] = []
    for child in children:
        at: int = child.meta["at"]
        if child.nesting > 0:
            opened.append((at, at + max(1, len(child.markup))))
        elif child.nesting < 0:
            n_mark = len(child.markup) or 1 + len(child.content)
            found.append(Unit(*opened.pop(), at, at + n_mark))
        elif child.type == "code_inline" and child.content:
            inner, inner_end = child.meta["places"][0], child.meta["places"][-1] + 1
            found.append(Unit(at, inner, inner_end, inner_end + inner - at))
    return found
