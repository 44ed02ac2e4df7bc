"""Checks all of the user's configuration files, for `tok config check`.

Layers above pass in checks of what only they know (`app.cli.common.configuration`).
"""

from __future__ import annotations

from collections.abc import Callable

from app.config.catalogue import Catalogue, load_catalogue
from app.config.document import Document, read_document
from app.config.paths import config_file
from app.config.problems import Problem, sort_problems
from app.config.settings import Settings, load_settings
from app.config.themes import load_themes

Judge = Callable[[Document, Settings, Catalogue], None]
"""Reports problems of the settings to the document of `config.toml`."""


def check_config(*judges: Judge) -> list[Problem]:
    """Returns the problems of config.toml, models.toml and the themes, unknown names included."""
    loaded, catalogue, themes = load_settings(), load_catalogue(), load_themes()
    theme, document = loaded.settings.theme, read_document(config_file())
    n_known = len(document.problems)
    if theme != "auto" and theme not in themes.themes:
        document.report(("theme",), f"there is no theme `{theme}`", suggest_from=["auto", *themes.themes], name=theme)
    for judge in judges:
        judge(document, loaded.settings, catalogue)
    problems = sort_problems([*loaded.problems, *document.problems[n_known:]])
    return [*problems, *catalogue.problems, *themes.problems]
