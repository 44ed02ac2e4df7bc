"""Configuration errors for commands: which ones stop a command, and what `tok config check` reports."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec
from msgspec import Struct

from app.cli.common import console
from app.cli.common.options import AskOptions
from app.config.catalogue import Catalogue
from app.config.document import Document
from app.config.locator import KeyPath
from app.config.problems import Problem, render
from app.config.settings import LoadedSettings, Settings
from app.domain.errors import ModelError
from app.domain.text import one_line
from app.models.locate import files_in_folder, locate


def warn_of(problems: Sequence[Problem]) -> None:
    """Prints every problem to standard error; the caller uses the valid settings."""
    if problems:
        console.print_stderr(render(problems))
        console.print_stderr("hint: `tok config edit` opens the file; valid settings are still applied")


def spelt_out(values: Struct) -> dict[str, object]:
    """Returns every field of a struct, defaults included, as plain values."""
    return {name: msgspec.to_builtins(value) for name, value in msgspec.structs.asdict(values).items()}


def toml_lines(values: Mapping[str, object]) -> list[str]:
    """Returns `key = value` lines; None becomes a comment, because TOML has no word for it."""
    return [f"# {key} is not set" if value is None else f"{key} = {_toml(value)}" for key, value in values.items()]


def _toml(value: object) -> str:
    if isinstance(value, list | tuple):
        items = cast("Sequence[object]", value)
        return f"[{', '.join(map(_toml, items))}]"
    if isinstance(value, dict):
        table = cast("Mapping[str, object]", value)
        return f"{{{', '.join(f'{json.dumps(key)} = {_toml(item)}' for key, item in table.items())}}}"
    # A JSON string is a TOML basic string, and so are numbers and booleans.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def blocking_config_error(
    options: AskOptions, loaded: LoadedSettings, catalogue: Catalogue, preset: str | None, model: str | None
) -> str:
    """Returns what a mistake is in, of all that the command needs; empty when it can do without the bad parts.

    Args:
        options: choices on the command line, which override settings.
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


def judge_models(document: Document, settings: Settings, catalogue: Catalogue) -> None:
    """Reports a `models_dir` that is not there, and each `model`, of the settings and of a preset, that is no good."""
    if settings.models_dir and not os.path.isdir(settings.models_dir):
        document.report(("models_dir",), f"there is no folder `{one_line(settings.models_dir)}`")
    presets: dict[str, Any] = document.data.get("presets", {}) if settings.presets else {}
    named: dict[KeyPath, str | None] = {("model",): settings.model}
    named |= {
        ("presets", name, "model"): preset.model
        for name, preset in settings.presets.items()
        if isinstance(presets[name], dict) and "model" in presets[name]
    }
    known = [*catalogue.models, *files_in_folder(settings.models_dir)]
    for at, model in named.items():
        if model is None:
            continue
        try:
            locate(model, catalogue, settings.models_dir)
        except ModelError as error:
            is_new_name = model not in known and os.sep not in model
            document.report(at, str(error), suggest_from=known if is_new_name else None, name=model)


def judge_keys(document: Document, settings: Settings, _catalogue: Catalogue) -> None:
    """Reports what the chat would not take of `[keys]`: unknown commands, unusable keys, keys given twice."""
    from app.tui.common.commands import COMMANDS
    from app.tui.common.keymap import why_unusable

    ids = [command.id for command in COMMANDS]
    owner: dict[str, str] = {}
    for command, keys in settings.keys.items():
        at = ("keys", command)
        if command not in ids:
            document.report(at, f"there is no command `{one_line(command, 40)}`", suggest_from=ids)
            continue
        for key in filter(None, (part.strip().lower() for part in keys.split(","))):
            shown = one_line(key, 40)
            if reason := why_unusable(key):
                document.report(at, f"the key `{shown}` cannot be used: {reason}")
            elif key in owner:
                document.report(at, f"the key `{shown}` already runs `{owner[key]}`")
            else:
                owner[key] = command
