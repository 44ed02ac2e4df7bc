"""Where everything that a Markdown block shows stands in its text: tokens with places, for a click.

The parser tells lines, not columns. So those of its rules that swallow something note where they stop; all else follows
from lengths, because text is shown as it was written. Knows no widths and no styles.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from app.tui.markdown.blocks import parser
from app.tui.markdown.inline import clean

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

    Rule = Callable[[StateInline, bool], bool]

NOWHERE = -1
_END = "end"
_PIPE = re.compile(r"(?<!\\)\|")
_MARKER = re.compile(r"[-+*]|\d{1,9}[.)]")


def placed_tokens(text: str, env: Mapping[str, Any]) -> list[Token]:
    """Parses a block; every token that is shown has `places` in its meta: one for each character that it shows."""
    tokens = _parser().parse(text, dict(env))
    lines = _Lines(text)
    cells: list[list[int]] | None = None
    for k, token in enumerate(tokens):
        first = token.map[0] if token.map else 0
        match token.type:
            case "list_item_open":
                token.meta["places"] = lines.marker(first)
            case "tr_open":
                cells = lines.cells(first, _row(tokens, k))
            case "tr_close":
                cells = None
            case "inline":
                _place_children(token, cells.pop(0) if cells is not None else lines.content(token.content, first))
            case "fence":
                token.meta["places"] = lines.content(token.content, first + 1)
            case "code_block" | "html_block":
                token.meta["places"] = lines.content(token.content, first)
            case _:
                pass
    return tokens


@cache
def _parser() -> MarkdownIt:
    from markdown_it.rules_inline import autolink, backtick, escape, image, link, newline

    # Unjoined, the text of an escape or an entity is a token of its own, whose `markup` is what stands in the source.
    made = parser().disable("text_join")
    rules = {"newline": newline, "escape": escape, "backticks": backtick, "link": link, "image": image}
    for name, rule in (rules | {"autolink": autolink}).items():
        made.inline.ruler.at(name, _noting_end(rule))
    return made


def _noting_end(rule: Rule) -> Rule:
    def noted(state: StateInline, silent: bool) -> bool:
        n_before = len(state.tokens)
        found = rule(state, silent)
        if found and not silent and len(state.tokens) > n_before:
            state.tokens[-1].meta[_END] = state.pos
        return found

    return noted


def _row(tokens: list[Token], at: int) -> list[str]:
    stop = next(k for k in range(at, len(tokens)) if tokens[k].type == "tr_close")
    return [token.content for token in tokens[at:stop] if token.type == "inline"]


class _Lines:
    """The lines of a block, and what the parser read from them."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._tops = [0, *accumulate(len(line) + 1 for line in self._lines)]
        self._markers: dict[int, int] = {}

    def content(self, content: str, first: int) -> list[int]:
        """The places of a token's content, whose lines lost what stands before (and in headings behind) them."""
        places: list[int] = []
        for n, part in enumerate(content.split("\n"), first):
            line, top = self._line(n)
            begin = line.rfind(part.strip()) - (len(part) - len(part.lstrip()))
            places += [top + max(0, begin + k) for k in range(len(part))]
            places.append(top + len(line))
        return places

    def marker(self, n: int) -> range:
        """The places of the next list marker on a line, as `-` or `1.`."""
        line, top = self._line(n)
        found = _MARKER.search(line, self._markers.get(n, 0))
        if found is None:
            return range(0)
        self._markers[n] = found.end()
        return range(top + found.start(), top + found.end())

    def cells(self, n: int, contents: list[str]) -> list[list[int]]:
        """The places of the contents of a table's row."""
        line, top = self._line(n)
        cuts = [0, *(found.end() for found in _PIPE.finditer(line)), len(line) + 1]
        # A backslash before a pipe is not part of the content.
        kept = [[k for k in range(start, end - 1) if line[k : k + 2] != "\\|"] for start, end in pairwise(cuts)]
        texts = ["".join(line[k] for k in cell) for cell in kept]
        if not contents[0] or not texts[0].rstrip().endswith(contents[0]):
            del kept[0], texts[0]
        found: list[list[int]] = []
        for content, text, cell in zip(contents, texts, kept, strict=False):
            begin = text.rfind(content)
            found.append([top + k for k in cell[begin : begin + len(content)]])
        return found + [[]] * (len(contents) - len(found))

    def _line(self, n: int) -> tuple[str, int]:
        return (self._lines[n], self._tops[n]) if n < len(self._lines) else ("", self._tops[-1] - 1)


def _place_children(token: Token, places: list[int]) -> None:
    """Gives an inline token's children their places; `places` are those of its content."""
    content, at = token.content, 0
    targets: list[str] = []
    for child in token.children or []:
        shown, own = child.content, places[at:]
        end: int = child.meta.get(_END, at + len(child.content or child.markup))
        match child.type:
            case "text_special":
                # All that an entity shows stands where it begins; an escape shows what is behind its backslash.
                end, n_before = at + len(child.markup), len(child.markup) - len(shown)
                own = own[n_before:] if child.info == "escape" else own[:1] * len(shown)
            case "code_inline":
                n_mark = len(child.markup)
                n_lost = end - at - 2 * n_mark - len(shown)
                own = own[n_mark + n_lost // 2 :]
            case "softbreak":
                shown = " "
            case "link_open":
                end = at + 1
                targets.append(str(child.attrs.get("href", "")))
            case "link_close":
                target = targets.pop()
                shown, own = f" ({target})", _target(target, content, places, at, end)
            case "image":
                target, n = str(child.attrs.get("src", "")), len(shown)
                label = own[2 : 2 + n] or [NOWHERE] * len("image")
                own = [*own[1:2], *label, *own[2 + n : 3 + n], *_target(target, content, places, at + 2 + n, end)]
                shown = f"[{shown or 'image'}] ({target})"
            case _:
                pass
        child.meta["places"] = [place for char, place in zip(shown, own, strict=False) for _ in clean(char)]
        at = end


def _target(target: str, content: str, places: list[int], after: int, end: int) -> list[int]:
    """The places of ` (target)`; nothing where it does not stand there in these words, as that of a reference."""
    at = content.find(target, after + 1, end)
    if not target or at < 1:
        return []
    stop = at + len(target)
    own = places[at - 1 : stop + 1]
    return [NOWHERE, own[0] if content[at - 1] in "(<" else NOWHERE, *own[1 : None if content[stop] in ")>" else -1]]
