"""Turns a theme file's values into a Textual theme, and proves that it cannot end the app before it is used.

Textual dies on a bad colour, a bad text style or a broken variable at the moment a theme is switched to, so every theme
is parsed here against the app's own stylesheets first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from textual.app import App
from textual.color import Color, ColorParseError
from textual.css.constants import VALID_STYLE_FLAGS
from textual.css.tokenize import tokenize_value
from textual.theme import BUILTIN_THEMES, Theme

from app.config.themes import DEFAULT_DARK, DEFAULT_LIGHT, TERMINAL, ThemeSpec
from app.domain.errors import ConfigError
from app.domain.text import one_line

VARIABLE_DEFAULTS = {
    "chat-user": "#8fb8ec",
    "chat-assistant": "#d8dbe0",
    "chat-note": "#9aa0aa",
    "token-low": "#f08080",
    "token-mid": "#e0b060",
    "token-high": "#7fc48f",
    "context-system": "#9d8fd0",
    "context-history": "#6a93c8",
    "context-reply": "#7fc48f",
    "context-free": "#3a3f48",
    "gauge-bar": "#7aa2d6",
    "sparkline": "#e29a6a",
}
"""This app's own variables before a theme is applied."""

_STAND_INS = {
    "chat-user": "primary",
    "chat-assistant": "foreground",
    "chat-note": "foreground",
    "token-low": "error",
    "token-mid": "warning",
    "token-high": "success",
    "context-system": "secondary",
    "context-history": "primary",
    "context-reply": "success",
    "context-free": "panel",
    "gauge-bar": "primary",
    "sparkline": "accent",
}
"""Colours of the theme itself that stand in for variables that a user's theme leaves out."""


@dataclass(frozen=True)
class ThemeSituation:
    """What decides the theme when nobody chose one."""

    no_color: bool
    """NO_COLOR is set."""
    few_colors: bool
    """The terminal has sixteen colours or fewer."""
    dark_background: bool | None
    """None if the terminal does not report it."""


def pick_theme(wanted: str, explicit: bool, available: Iterable[str], situation: ThemeSituation) -> str:
    """Returns the name of the theme to start with.

    Args:
        wanted: the configured, remembered or asked-for name, or `auto`.
        explicit: asked for on the command line, for this very terminal.
        available: the themes that can be used.
    """
    names = set(available)
    plain = situation.no_color or (situation.few_colors and not explicit)
    if plain and TERMINAL in names:
        return TERMINAL
    if wanted in names:
        return wanted
    return DEFAULT_LIGHT if situation.dark_background is False else DEFAULT_DARK


def to_theme(spec: ThemeSpec, app: App[int]) -> Theme:
    """Returns the Textual theme of `spec`.

    Raises:
        ConfigError: a colour or variable would not parse; the message names it.
    """
    for key, value in spec.colors.items():
        _check_colour(spec, f"colors.{key}", value)
    colors = spec.colors
    stand_ins = {key: colors[color] for key, color in _STAND_INS.items() if color in colors}
    theme = Theme(
        name=spec.name,
        dark=spec.dark,
        ansi=spec.ansi,
        variables=_ansi_variables(spec) | stand_ins | spec.variables,
        **colors,  # pyright: ignore[reportArgumentType] only the names of COLOR_KEYS
    )
    defaults = app.get_theme_variable_defaults() | theme.to_color_system().generate()
    for key, value in spec.variables.items():
        _check_variable(spec, key, value, defaults)
    _dry_run(spec, theme, app)
    return theme


def _ansi_variables(spec: ThemeSpec) -> dict[str, str]:
    # Textual's own stylesheets need variables in an ANSI theme that its colour system does not make.
    if not spec.ansi:
        return {}
    return dict(BUILTIN_THEMES["ansi-dark" if spec.dark else "ansi-light"].variables)


def _check_colour(spec: ThemeSpec, key: str, value: str) -> None:
    try:
        Color.parse(value)
    except ColorParseError as error:
        raise ConfigError(f"theme {spec.name}: {key}: {one_line(str(error))}") from None


def _check_variable(spec: ThemeSpec, key: str, value: str, defaults: Mapping[str, str]) -> None:
    if any(char in value for char in ";{}"):
        raise ConfigError(f"theme {spec.name}: variables.{key}: {one_line(value)!r} is not a value")
    if key.endswith("style"):
        if unknown := [word for word in value.split() if word not in VALID_STYLE_FLAGS]:
            raise ConfigError(f"theme {spec.name}: variables.{key}: {one_line(unknown[0])!r} is not a text style")
    elif key in defaults and value.partition(" ")[0] not in {"auto", "initial"}:
        _check_colour(spec, f"variables.{key}", value.partition(" ")[0])


def _dry_run(spec: ThemeSpec, theme: Theme, app: App[int]) -> None:
    variables = app.get_theme_variable_defaults() | theme.to_color_system().generate() | theme.variables
    try:
        for key, value in theme.variables.items():
            list(tokenize_value(value, (key, "")))
        sheet = app.stylesheet.copy()
        sheet.set_variables(variables)
        sheet.reparse()
    except Exception as error:  # whatever it raises here would otherwise end the app when the theme is chosen
        raise ConfigError(f"theme {spec.name}: {one_line(str(error)) or type(error).__name__}") from error
