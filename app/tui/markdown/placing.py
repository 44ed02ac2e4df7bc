"""Where everything that a block shows stands in its text: tokens with places, and what belongs together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from app.tui.markdown.dialect import parser
from app.tui.markdown.inline import shown_as

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

    from app.tui.markdown.table_rule import Cell

NOWHERE = -1
_MARKER = re.compile(r"[-+*]|\d{1,9}[.)]")


def placed_tokens(text: str) -> list[Token]:
    """Parses a block; every token that is shown has `places` in its meta: one for each character that it shows.

    Tokens that open or close something, and code, have `at` as well: the place of their mark. Fences have `info`: the
    places of what stands behind their marker.
    """
    tokens = _parser().parse(text)
    lines = _Lines(text)
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        first = token.map[0] if token.map else 0
        match token.type:
            case "list_item_open":
                token.meta["places"] = lines.marker(first)
            case "heading_open":
                token.meta["places"] = lines.content(token.markup, first)
                if following is not None and token.markup.startswith("#"):
                    _place_children(following, lines.after(token.markup, following.content, first))
            case "inline" if "cell" in token.meta:
                cell: Cell = token.meta["cell"]
                _place_children(token, cell.offsets)
            case "inline" if "placed" not in token.meta:
                _place_children(token, lines.content(token.content, first))
            case "table_open":
                token.meta["places"] = lines.whole(first + 1)
            case "hr":
                token.meta["places"] = lines.whole(first)
            case "fence":
                token.meta["places"] = lines.content(token.content, first + 1)
                token.meta["info"] = lines.after(token.markup, token.info.strip(), first)
            case "code_block" | "html_block" | "math":
                token.meta["places"] = lines.content(token.content, first)
            case _:
                pass
    return tokens


@cache
def _parser() -> MarkdownIt:
    return parser()


class _Lines:
    """The lines of a block, and what the parser read from them."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._tops = [0, *accumulate(len(line) + 1 for line in self._lines)]
        self._markers: dict[int, int] = {}

    def content(self, content: str, first: int) -> list[int]:
        """The places of a token's content, whose lines lost what stands before them."""
        places: list[int] = []
        for n, part in enumerate(content.split("\n"), first):
            line, top = self._line(n)
            begin = line.rfind(part.strip()) - (len(part) - len(part.lstrip()))
            places += [top + max(0, begin + k) for k in range(len(part))]
            places.append(top + len(line))
        return places

    def after(self, mark: str, content: str, n: int) -> list[int]:
        """The places of what stands behind a mark on a line."""
        line, top = self._line(n)
        begin = top + line.find(content, line.find(mark) + len(mark))
        return list(range(begin, begin + len(content)))

    def whole(self, n: int) -> range:
        """The places of all that stands on a line; of a quote, behind its marks."""
        line, top = self._line(n)
        mark = re.search(r"[-:|*_][-:|*_ \t]*\Z", line)
        return range(top + mark.start(), top + len(line)) if mark else range(0)

    def marker(self, n: int) -> range:
        """The places of the next list marker on a line, as `-` or `1.`."""
        line, top = self._line(n)
        found = _MARKER.search(line, self._markers.get(n, 0))
        if found is None:
            return range(0)
        self._markers[n] = found.end()
        return range(top + found.start(), top + found.end())

    def _line(self, n: int) -> tuple[str, int]:
        return (self._lines[n], self._tops[n]) if n < len(self._lines) else ("", self._tops[-1] - 1)


def _place_children(token: Token, places: Sequence[int]) -> None:
    """Gives an inline token's children their places; `places` are those of its content."""
    token.meta["placed"] = True
    at = 0
    for child in token.children or []:
        n = len(child.content)
        child.meta["at"] = places[at] if at < len(places) else places[-1] + 1 if places else NOWHERE
        own: Sequence[int]
        match child.type:
            case "softbreak" | "hardbreak":
                own, n = [], 1 + (child.type == "hardbreak")
            case "link_open":
                own, n = [], 1
            case "text_special":
                own, n = places[at + 1 : at + 2], 2
            case "code_inline":
                n_lost = len(child.markup) + child.meta["lost"]
                own, n = places[at + n_lost : at + n_lost + n], n + 2 * n_lost
            case "link_close":
                own, n = [NOWHERE, *places[at + 1 : at + 1 + n]], n + 1
            case "image":
                begin, target = at + 2, child.meta["target"]
                after = begin + n
                label = places[begin:after] or [NOWHERE] * len("image")
                shown_target = places[after + 1 : after + 1 + len(target)]
                own = [places[at + 1], *label, places[after], NOWHERE, *shown_target]
                n += 3 + len(target)
            case _:
                n = n or len(child.markup)
                own = places[at : at + n]
        if shown_as(child):
            child.meta["places"] = own
        at += n


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
