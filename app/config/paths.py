"""Paths: the user's folders (or TOKSCOPE_{CONFIG,DATA,CACHE}_DIR) and the files shipped with the app."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import platformdirs

from app.domain.errors import ConfigError

_APP = "tokscope"


def _override(variable: str) -> Path | None:
    value = os.environ.get(variable, "")
    return Path(os.path.abspath(os.path.expanduser(value))) if value else None


def _folder(variable: str, platforms: Callable[..., Path]) -> Path:
    try:
        return _override(variable) or platforms(_APP, appauthor=False)
    except RuntimeError:
        raise ConfigError(
            "your home folder is not known: HOME is not set, and the system has no entry for your user",
            hint="set HOME, or TOKSCOPE_CONFIG_DIR, TOKSCOPE_DATA_DIR and TOKSCOPE_CACHE_DIR",
        ) from None


def config_dir() -> Path:
    """The folder of `config.toml`, `models.toml` and `themes/`."""
    return _folder("TOKSCOPE_CONFIG_DIR", platformdirs.user_config_path)


def data_dir() -> Path:
    """The folder of the conversations, which must not be lost."""
    return _folder("TOKSCOPE_DATA_DIR", platformdirs.user_data_path)


def cache_dir() -> Path:
    """The folder of files that may be deleted at any time: logs, saved states of conversations."""
    return _folder("TOKSCOPE_CACHE_DIR", platformdirs.user_cache_path)


def config_file() -> Path:
    """The user's settings."""
    return config_dir() / "config.toml"


def user_models_file() -> Path:
    """The user's overlay of the model catalogue."""
    return config_dir() / "models.toml"


def user_themes_dir() -> Path:
    """The user's themes, one `NAME.toml` each."""
    return config_dir() / "themes"


def database_file() -> Path:
    """The database of conversations."""
    return data_dir() / "conversations.db"


def engine_log_file() -> Path:
    """The log of the engine worker and llama.cpp."""
    return cache_dir() / "engine.log"


def copied_file() -> Path:
    """The last copied text, which may be too long for the terminal's clipboard."""
    return cache_dir() / "copied.md"


def ensure_dir(path: Path) -> Path:
    """Creates a folder and its missing parents for this user only (0700); returns it. Raises OSError."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


_PACKAGE = Path(__file__).resolve().parent.parent
_WHEEL_DATA = _PACKAGE / "_data"


def _root() -> Path:
    return _WHEEL_DATA if _WHEEL_DATA.is_dir() else _PACKAGE.parent


def models_toml() -> Path:
    """The shipped model catalogue."""
    return _root() / "models.toml"


def themes_dir() -> Path:
    """The folder of shipped themes, one `NAME.toml` each."""
    return _root() / "themes"
