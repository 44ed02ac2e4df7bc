"""Judges for `tok config check`: models that must be found, and `[keys]` that the chat must understand.

Knows the chat's commands and keys, which are plain tables, and no Textual.
"""

from __future__ import annotations

import os
from typing import Any

from app.config.catalogue import Catalogue
from app.config.document import Document
from app.config.locator import Path as KeyPath
from app.config.settings import Settings
from app.domain.errors import ModelError
from app.domain.text import one_line
from app.models.locate import files_in_folder, locate
from app.tui.common.commands import COMMANDS
from app.tui.common.keymap import why_unusable


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
