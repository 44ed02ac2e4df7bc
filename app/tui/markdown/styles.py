"""The rich styles of a rendered message, resolved once from the theme's variables. Knows no widget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.color import Color as RichColor
from rich.style import Style
from textual.color import Color, ColorParseError


@dataclass(frozen=True, slots=True)
class MarkdownStyles:
    """One style for each kind of text; all of them carry the background."""

    base: Style
    muted: Style
    heading: Style
    heading_minor: Style
    strong: Style
    emphasis: Style
    strike: Style
    code: Style
    code_block: Style
    code_label: Style
    link: Style
    marker: Style
    quote: Style
    table_head: Style
    user: Style
    assistant: Style
    note: Style
    failure: Style
    code_theme: str


def markdown_styles(base: Style, variables: Mapping[str, str], code_theme: str) -> MarkdownStyles:
    """Returns the styles for a `base` (colour and background) and a theme's variables; unknown ones fall back."""

    def colour(*names: str) -> RichColor | None:
        for name in names:
            try:
                parsed = Color.parse(variables[name])
            except (KeyError, ColorParseError):
                continue
            # "auto" and translucent colours mean nothing without what lies under them.
            if parsed.ansi is not None or (parsed.a == 1 and parsed.auto is False):
                return parsed.rich_color
        return None

    def ink(*names: str, bold: bool | None = None, italic: bool | None = None) -> Style:
        return base + Style(color=colour(*names), bold=bold, italic=italic)

    muted = base + _muted(base)
    code_block = Style(bgcolor=colour("chat-code-background", "surface"))
    return MarkdownStyles(
        base=base,
        muted=muted,
        heading=ink("chat-heading", "text-primary", "primary", bold=True),
        heading_minor=ink("chat-heading", "text-secondary", "primary", bold=True),
        strong=base + Style(bold=True),
        emphasis=base + Style(italic=True),
        strike=base + Style(strike=True),
        code=ink("chat-code", "accent", "warning"),
        code_block=base + code_block,
        code_label=muted + code_block,
        link=base + Style(color=colour("chat-link", "text-secondary", "primary"), underline=True),
        marker=ink("chat-marker", "text-primary", "primary"),
        quote=base + Style(color=colour("chat-quote") or muted.color, dim=muted.dim),
        table_head=base + Style(bold=True),
        user=ink("chat-user", "accent", bold=True),
        assistant=ink("chat-assistant", "text-primary", "primary", bold=True),
        note=(ink("chat-note") if "chat-note" in variables else muted) + Style(italic=True),
        failure=ink("chat-failure", "error", bold=True),
        code_theme=code_theme,
    )


def _muted(base: Style) -> Style:
    """Halfway to the background; where the terminal owns the colours, dim."""
    if base.color is None or base.bgcolor is None or base.color.triplet is None or base.bgcolor.triplet is None:
        return Style(dim=True)
    ink, paper = base.color.triplet, base.bgcolor.triplet
    red, green, blue = (round(0.62 * a + 0.38 * b) for a, b in zip(ink, paper, strict=True))
    return Style(color=RichColor.from_rgb(red, green, blue))
