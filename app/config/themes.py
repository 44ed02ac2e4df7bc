"""Themes: `NAME.toml` files of the app and of the user; the user's replace those of the same name.

Checks names, keys and the spelling of colours, without Textual: `app.tui` tries a theme before it registers it, because
Textual crashes on some values.
"""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import Struct

from app.config.document import Document, read_document
from app.config.fields import read_fields, subtable
from app.config.paths import themes_dir, user_themes_dir
from app.config.problems import Problem

DEFAULT_DARK = "graphite"
DEFAULT_LIGHT = "paper"
TERMINAL = "terminal"
"""The theme that uses the terminal's own colours: for 16-colour terminals and NO_COLOR."""

COLOR_KEYS = (
    "primary",
    "secondary",
    "warning",
    "error",
    "success",
    "accent",
    "foreground",
    "background",
    "surface",
    "panel",
    "boost",
)
"""`[colors]`: the colours of a Textual theme; `primary` is required."""

APP_VARIABLES = (
    "chat-user",
    "chat-assistant",
    "chat-note",
    "token-low",
    "token-mid",
    "token-high",
    "context-system",
    "context-history",
    "context-reply",
    "context-free",
    "gauge-bar",
    "sparkline",
)
"""`[variables]` of this app, all colours: chat-* and token-* for text, the others for bars."""

_FAMILIES = re.compile(
    r"(block|border|button|footer|foreground|input|link|markdown|panel|screen|scrollbar|surface|text|ansi|primary"
    r"|secondary|accent|warning|error|success|background)(-[a-z0-9-]+)?"
)
_HEX = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_ANSI_NAMES = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
ANSI_COLORS = (
    "ansi_default",
    *(f"ansi_{name}" for name in _ANSI_NAMES),
    *(f"ansi_bright_{name}" for name in _ANSI_NAMES),
)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_STYLE = re.compile(r"[A-Za-z0-9 #%._-]{1,60}")


class ThemeSpec(Struct, frozen=True, kw_only=True):
    """One theme, checked without Textual."""

    name: str
    dark: bool
    ansi: bool
    """Whether it uses only the terminal's own colours."""
    colors: dict[str, str]
    variables: dict[str, str]
    """Variables of this app (`APP_VARIABLES`) and of Textual's CSS."""
    code_style: str
    """For code blocks: a Pygments style, or rich's `ansi_dark` and `ansi_light`."""
    path: Path


class LoadedThemes(Struct, frozen=True, kw_only=True):
    """The usable themes by name, and the problems of the files."""

    themes: dict[str, ThemeSpec]
    problems: list[Problem]


class _TopKeys(Struct):
    name: str = ""
    dark: bool = True
    ansi: bool = False
    code_style: str = ""


def load_themes(user_dir: Path | None = None) -> LoadedThemes:
    """Reads all themes; a user's theme replaces a shipped one. Never raises for the content of the files."""
    themes: dict[str, ThemeSpec] = {}
    problems: list[Problem] = []
    for folder in (themes_dir(), user_dir or user_themes_dir()):
        for path in _files(folder):
            theme, found = load_theme(path)
            problems += found
            if theme:
                themes[theme.name] = theme
    return LoadedThemes(themes=themes, problems=problems)


def load_theme(path: Path) -> tuple[ThemeSpec | None, list[Problem]]:
    """Reads one file; reports wrong keys and leaves them out. Returns None without a valid `primary`."""
    document = read_document(path)
    if document.problems:
        return None, document.problems
    top = read_fields(document, (), document.data, _TopKeys, also=("colors", "variables"))
    name = top.get("name") or path.stem
    if not _NAME.fullmatch(name):
        document.report(("name",), "a theme's name is lower-case letters, digits, `-` and `_`")
        name = ""
    colors = _read_colors(document)
    if not name or "primary" not in colors:
        return None, document.sorted_problems()
    dark = top.get("dark", True)
    theme = ThemeSpec(
        name=name,
        dark=dark,
        ansi=top.get("ansi", False),
        colors=colors,
        variables=_read_variables(document),
        code_style=top.get("code_style") or ("monokai" if dark else "default"),
        path=path,
    )
    return theme, document.sorted_problems()


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".toml")
    except OSError:
        return []


def _read_colors(document: Document) -> dict[str, str]:
    colors: dict[str, str] = {}
    table = subtable(document, (), document.data, "colors")
    for key, value in table.items():
        if key not in COLOR_KEYS:
            document.report(("colors", key), f"unknown colour `{key}`", suggest_from=list(COLOR_KEYS))
        elif _is_color(document, ("colors", key), value):
            colors[key] = value
    if "primary" not in table:
        document.report(("colors",), "`colors.primary` is missing")
    return colors


def _read_variables(document: Document) -> dict[str, str]:
    variables: dict[str, str] = {}
    for key, value in subtable(document, (), document.data, "variables").items():
        at = ("variables", key)
        if key in APP_VARIABLES:
            if _is_color(document, at, value):
                variables[key] = value
        elif not _FAMILIES.fullmatch(key):
            document.report(at, f"unknown variable `{key}`", suggest_from=list(APP_VARIABLES))
        elif isinstance(value, str) and _STYLE.fullmatch(value):
            variables[key] = value
        else:
            document.report(at, f"`{key}` must be a colour or a text style")
    return variables


def _is_color(document: Document, at: tuple[str, str], value: object) -> bool:
    if isinstance(value, str) and (_HEX.fullmatch(value) or value in ANSI_COLORS):
        return True
    names = list(ANSI_COLORS) if isinstance(value, str) and not value.startswith("#") else None
    document.report(at, f'`{at[-1]}` must be a colour: "#rrggbb" or an ansi_ name', suggest_from=names, name=str(value))
    return False
