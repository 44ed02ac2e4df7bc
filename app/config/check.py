"""Everything that is wrong with the user's configuration, over all of its files: what `tok config check` shows."""

from __future__ import annotations

from app.config.catalogue import load_catalogue
from app.config.document import read_document
from app.config.paths import config_file
from app.config.problems import Problem, sort_problems
from app.config.settings import load_settings
from app.config.themes import load_themes


def check_config() -> list[Problem]:
    """Returns the problems of config.toml, models.toml and the themes, and names among them that lead nowhere.

    A model may also be a file and a command id is only known to the TUI, so neither is judged here.
    """
    loaded, catalogue, themes = load_settings(), load_catalogue(), load_themes()
    theme, document = loaded.settings.theme, read_document(config_file())
    if theme != "auto" and theme not in themes.themes:
        document.report(("theme",), f"there is no theme `{theme}`", suggest_from=["auto", *themes.themes], name=theme)
        loaded.problems.append(document.problems[-1])
    return [*sort_problems(loaded.problems), *catalogue.problems, *themes.problems]
