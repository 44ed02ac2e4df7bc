"""All presets that may be chosen: those that come with the app, and the user's, which win over them."""

from __future__ import annotations

from collections.abc import Mapping

from app.config.problems import nearest
from app.domain.errors import ConfigError
from app.domain.preset import Preset
from app.domain.text import one_line


def find_preset(name: str, presets: Mapping[str, Preset]) -> Preset:
    """Returns the preset called `name`. Raises ConfigError that names the nearest one."""
    if name in presets:
        return presets[name]
    close = nearest(name, presets)
    hint = f"Did you mean `{close}`? " if close else ""
    raise ConfigError(f"there is no preset `{one_line(name)}`", f"{hint}There are: {', '.join(presets)}")
