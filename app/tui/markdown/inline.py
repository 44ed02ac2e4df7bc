"""Inline Markdown tokens to styled spans. Link targets are shown, never clickable; nothing is parsed from markup."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from rich.style import Style

from app.domain.text import safe_text
from app.tui.markdown.lines import Span
from app.tui.markdown.places import placed
from app.tui.markdown.styles import MarkdownStyles

if TYPE_CHECKING:
    from markdown_it.token import Token

_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)


def inline_lines(
    tokens: Sequence[Token], styles: MarkdownStyles, base: Style | None = None, *, tags: bool = False
) -> list[list[Span]]:
    """Returns the lines of an inline token's children, without blanks at their ends; `tags`: `<br>` ends one too.

    Tokens that know their `places` give spans that do.
    """
    lines: list[list[Span]] = [[]]
    stack = [base or styles.base]
    added = {"strong_open": styles.strong, "em_open": styles.emphasis, "s_open": styles.strike}
    for token in tokens:
        if token.type in ("softbreak", "hardbreak") or (tags and _BREAK.fullmatch(token.content)):
            lines.append([])
            continue
        match token.type:
            case "strong_open" | "em_open" | "s_open":
                stack.append(stack[-1] + _weight(added[token.type]))
                continue
            case "link_open":
                stack.append(stack[-1] + _ink(styles.link))
                continue
            case "strong_close" | "em_close" | "s_close":
                stack.pop()
                continue
            case _:
                pass
        if token.type == "link_close":
            stack.pop()
        first, *rest = _pieces(token, styles, stack[-1])
        lines[-1] += first
        lines += rest
    return [_trimmed(line) for line in lines]


def shown_as(token: Token) -> str:
    """Returns the characters of a token that its spans show; tabs and line ends are still those of the source."""
    match token.type:
        case "link_close":
            return f" {token.content}"
        case "image":
            return f"[{token.content or 'image'}] {token.meta['target']}"
        case _:
            return token.content


def clean(text: str) -> str:
    """Tabs and controls as they are shown."""
    return safe_text(text).replace("\t", "    ")


def _pieces(token: Token, styles: MarkdownStyles, style: Style) -> Iterator[list[Span]]:
    """The spans of a token, line by line."""
    if token.type == "text" and not token.meta and "\n" not in token.content:
        yield [(clean(token.content), style)]
        return
    text, places = shown_as(token), token.meta.get("places")
    tops = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    for top, line in zip(tops, text.split("\n"), strict=False):
        spans = _spans(token, clean(line), styles, style, is_first=top == 0)
        if places is not None:
            spans = placed(spans, [place for char, place in zip(line, places[top:], strict=False) for _ in clean(char)])
        yield spans


def _spans(token: Token, line: str, styles: MarkdownStyles, style: Style, *, is_first: bool) -> list[Span]:
    match token.type:
        case "code_inline":
            return [(line, style + _ink(styles.code))]
        case "autolink":
            return [(line, style + _ink(styles.link))]
        case "link_close":
            return [(line, styles.muted)]
        case "image":
            n_label = len(clean(token.content or "image")) + 2 if is_first and "\n" not in token.content else 0
            return [(line[:n_label], style + _ink(styles.link)), (line[n_label:], styles.muted)]
        case _:
            return [(line, style)]


def _trimmed(line: list[Span]) -> list[Span]:
    """Without blanks at the end, which might be wrapped into a line of their own."""
    while line and not (text := line[-1][0].rstrip(" ")):
        line.pop()
    if line and len(text := line[-1][0].rstrip(" ")) < len(line[-1][0]):
        line[-1] = (text, line[-1][1])
    return line


def _ink(style: Style) -> Style:
    return Style(color=style.color, underline=style.underline)


def _weight(style: Style) -> Style:
    return Style(bold=style.bold, italic=style.italic, strike=style.strike)
