"""What the shell may complete behind `-m`, `-p` and `--theme`. A broken configuration completes nothing."""

from __future__ import annotations

from collections.abc import Iterable

from app.domain.errors import TokscopeError


def complete_model(incomplete: str) -> list[str]:
    """Returns the names of the catalogue and of files in `models_dir` that begin with `incomplete`."""
    from app.config.catalogue import load_catalogue
    from app.config.settings import load_settings
    from app.models.locate import files_in_folder

    try:
        own = files_in_folder(load_settings().settings.models_dir)
        return _matching({**load_catalogue().models, **own}, incomplete)
    except TokscopeError:
        return []


def complete_preset(incomplete: str) -> list[str]:
    """Returns the preset names that begin with `incomplete`."""
    from app.config.settings import load_presets, load_settings

    try:
        return _matching(load_presets(load_settings().settings), incomplete)
    except TokscopeError:
        return []


def complete_theme(incomplete: str) -> list[str]:
    """Returns the theme names that begin with `incomplete`."""
    from app.config.themes import load_themes

    try:
        return _matching(load_themes().themes, incomplete)
    except TokscopeError:
        return []


def _matching(names: Iterable[str], incomplete: str) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete))
