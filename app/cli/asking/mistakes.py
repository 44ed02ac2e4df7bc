"""Tells mistakes of the configuration that spoil what was asked for from those that a command may go on with."""

from __future__ import annotations

from app.cli.asking.options import AskOptions
from app.config.catalogue import Catalogue
from app.config.settings import LoadedSettings
from app.domain.text import one_line


def what_is_broken(
    options: AskOptions, loaded: LoadedSettings, catalogue: Catalogue, preset: str | None, model: str | None
) -> str:
    """Returns what a mistake is in, of all that the command needs; empty when it can do without the bad parts.

    Args:
        options: tell what was chosen on the command line, where no setting counts.
        loaded: `config.toml`, with its problems.
        catalogue: both `models.toml`, with their problems.
        preset: name of the preset in effect; None is one that a conversation kept.
        model: name of the model in effect; None is the catalogue's default.
    """
    return _in_the_preset(options, loaded, preset) or _in_the_model(options, loaded, catalogue, model)


def _in_the_preset(options: AskOptions, loaded: LoadedSettings, preset: str | None) -> str:
    keys = {problem.key for problem in loaded.problems}
    if "" in keys:
        return "`config.toml` cannot be read"
    if preset is None:
        return ""
    if options.preset is None and "preset" in keys:
        return "`preset` has a mistake"
    return f"the preset `{one_line(preset)}` has mistakes" if preset in loaded.flawed_presets else ""


def _in_the_model(options: AskOptions, loaded: LoadedSettings, catalogue: Catalogue, model: str | None) -> str:
    keys = {problem.key for problem in catalogue.problems}
    if model is None and any(problem.key == "model" for problem in loaded.problems):
        return "`model` has a mistake"
    if "" in keys and (model is None or model in catalogue.models):
        return "`models.toml` cannot be read"
    if model is None and "default" in keys:
        return "`default` of models.toml has a mistake"
    flawed = [name for name in (model or catalogue.default, options.draft) if name in catalogue.flawed]
    return f"the model `{one_line(str(flawed[0]))}` has mistakes" if flawed else ""
