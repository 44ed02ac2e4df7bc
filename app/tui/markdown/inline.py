"""Inline Markdown tokens to styled spans. Link targets are shown, never clickable; nothing is parsed from markup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.style import Style

from app.domain.text import safe_text
from app.tui.markdown.lines import Span
from app.tui.markdown.places import placed
from app.tui.markdown.styles import MarkdownStyles

if TYPE_CHECKING:
    from markdown_it.token import Token

HARD_BREAK = "\n"
_MAX_TARGET = 200


def inline_spans(tokens: Sequence[Token], styles: MarkdownStyles, base: Style | None = None) -> list[Span]:
    """Returns the spans of an inline token's children; a span that is HARD_BREAK ends the line.

    Tokens that know their `places` give spans that do.
    """
    spans: list[Span] = []
    stack = [base or styles.base]
    targets: list[tuple[str, int]] = []
    added = {"strong_open": styles.strong, "em_open": styles.emphasis, "s_open": styles.strike}
    for token in tokens:
        style, n_before = stack[-1], len(spans)
        match token.type:
            case "text" | "html_inline" | "text_special":
                spans.append((clean(token.content), style))
            case "code_inline":
                spans.append((clean(token.content), style + _ink(styles.code)))
            case "softbreak" | "hardbreak":
                spans.append((" " if token.type == "softbreak" else HARD_BREAK, style))
            case "strong_open" | "em_open" | "s_open":
                stack.append(style + _weight(added[token.type]))
            case "link_open":
                targets.append((str(token.attrs.get("href", "")), len(spans)))
                stack.append(style + _ink(styles.link))
            case "link_close":
                stack.pop()
                target, first = targets.pop()
                shown = "".join(text for text, _ in spans[first:])
                if target and target != shown and target.removeprefix("mailto:") != shown:
                    spans.append((f" ({_short(target)})", styles.muted))
            case "strong_close" | "em_close" | "s_close":
                stack.pop()
            case "image":
                label = clean(token.content) or "image"
                spans += [
                    (f"[{label}]", style + _ink(styles.link)),
                    (f" ({_short(str(token.attrs.get('src', '')))})", styles.muted),
                ]
            case _:
                spans.append((clean(token.content), style))
        if token.meta:
            spans[n_before:] = placed(spans[n_before:], token.meta["places"])
    return spans


def clean(text: str) -> str:
    """Safe again: an entity may have spelt a control character; tabs and line ends become spaces."""
    return safe_text(text).replace("\t", "    ").replace("\n", " ")


def _short(target: str) -> str:
    target = clean(target)
    return target if len(target) <= _MAX_TARGET else target[: _MAX_TARGET - 1] + "…"


def _ink(style: Style) -> Style:
    return Style(color=style.color, underline=style.underline)


def _weight(style: Style) -> Style:
    return Style(bold=style.bold, italic=style.italic, strike=style.strike)
