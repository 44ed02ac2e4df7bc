"""The theme's styles for the roles of a line's spans."""

from __future__ import annotations

from collections.abc import Mapping

from rich.style import Style
from textual.color import Color, ColorParseError

_VARIABLES: dict[str, tuple[str, ...]] = {
    "title": ("primary",),
    "big": ("foreground",),
    "bar": ("gauge-bar", "primary"),
    "spark": ("sparkline", "accent"),
    "control": ("accent",),
    "low": ("token-low", "error"),
    "mid": ("token-mid", "warning"),
    "high": ("token-high", "success"),
    "system": ("context-system", "accent"),
    "history": ("context-history", "secondary"),
    "turn": ("context-turn", "accent"),
    "reply": ("context-reply", "success"),
    "shared": ("warning",),
    "free": ("context-free",),
    "ok": ("success",),
    "warn": ("warning",),
    "bad": ("error",),
}
_BOLD = frozenset({"title", "big", "value"})
_BLOCKS = ("system", "history", "turn", "reply", "shared")


def palette(variables: Mapping[str, str]) -> dict[str, Style]:
    """Returns a style for every role. Shape, letters and weight carry the meaning where there is no colour."""
    styles = {"text": Style(), "dim": Style(dim=True), "value": Style(bold=True)}
    styles |= {"ghost": Style(dim=True, strike=True), "cursor": Style(bold=True, reverse=True)}
    for role, names in _VARIABLES.items():
        styles[role] = Style(bold=role in _BOLD or None) + _colour(variables, names)
    for role in _BLOCKS:
        styles[f"{role}-block"] = styles[role] + Style(reverse=True)
    return styles


def _colour(variables: Mapping[str, str], names: tuple[str, ...]) -> Style:
    for name in names:
        try:
            return Style(color=Color.parse(variables.get(name, "")).rich_color)
        except ColorParseError:
            continue
    return Style()
