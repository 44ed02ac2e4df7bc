"""Loads and checks the themes, picks the one to start with, and notices changes of their files."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from textual.app import App
from textual.theme import Theme

from app.config.paths import user_themes_dir
from app.config.problems import summary
from app.config.themes import LoadedThemes, ThemeSpec
from app.domain.errors import ConfigError
from app.tui.common.preferences import Preferences
from app.tui.common.theme import ThemeSituation, pick_theme, to_theme

AUTO = "auto"


class ThemeManager:
    """Owns the app's themes.

    Attributes:
        themes: the valid ones, by name.
    """

    def __init__(
        self,
        app: App[int],
        load: Callable[[], LoadedThemes],
        memory: Preferences,
        *,
        configured: str,
        asked: str | None,
    ) -> None:
        """`configured` comes from config.toml, `asked` from the command line."""
        self._app = app
        self._load = load
        self._memory = memory
        self._configured = configured
        self._asked = asked
        self._seen: dict[Path, int] = {}
        self._active: Theme | None = None
        self._code_styles: dict[str, str] = {}
        self.themes: dict[str, Theme] = {}

    def open(self) -> list[str]:
        """Loads every theme and registers the valid ones; returns what is wrong with the others."""
        loaded = self._load()
        self._seen = _changes()
        notices = [summary(problem) for problem in loaded.problems]
        self.themes = {}
        for spec in loaded.themes.values():
            try:
                self.themes[spec.name] = to_theme(spec, self._app)
                self._code_styles[spec.name] = spec.code_style
            except ConfigError as error:
                notices.append(f"{_place(spec)}{error}")
        for theme in self.themes.values():
            self._app.register_theme(theme)
        return notices

    def start(self, situation: ThemeSituation, key: str) -> list[str]:
        """Applies the theme to start with; returns a notice if the wanted one is missing.

        `key` chooses a theme, for the notice; may be empty.
        """
        wanted = self._asked or self._memory.recall("theme", self._configured)
        self.apply(pick_theme(wanted, self._asked is not None, self.themes, situation))
        if wanted == AUTO or wanted in self.themes:
            return []
        return [f"There is no theme “{wanted}”.{f' {key} chooses another.' if key else ''}"]

    def apply(self, name: str) -> None:
        """Applies a theme until the end of the session."""
        theme = self.themes.get(name)
        if theme is None or theme == self._active:
            return
        # Textual ignores a theme of the same name: one that was loaded again has to be forced.
        again = self._app.theme == name
        self._active = theme
        self._app.theme = name
        if again:
            self._app.mutate_reactive(App.theme)

    def apply_and_save(self, name: str) -> None:
        """Applies a theme now and at the next start."""
        self.apply(name)
        self._memory.remember("theme", name, self._configured)

    def reload(self) -> list[str]:
        """Loads the files again and applies the current theme; returns what is wrong with them."""
        active = self._app.theme
        notices = self.open()
        self.apply(active)
        return notices

    def code_style(self, name: str) -> str:
        """Returns the style of a theme's code blocks."""
        return self._code_styles.get(name, "monokai")

    def changed(self) -> bool:
        """Returns whether a theme file of the user changed, appeared or disappeared since the last load."""
        return _changes() != self._seen


def _changes() -> dict[Path, int]:
    found: dict[Path, int] = {}
    with suppress(OSError), os.scandir(user_themes_dir()) as entries:
        for entry in entries:
            if entry.name.endswith(".toml"):
                found[Path(entry.path)] = entry.stat().st_mtime_ns
    return found


def _place(spec: ThemeSpec) -> str:
    return f"{spec.path.name}: "
