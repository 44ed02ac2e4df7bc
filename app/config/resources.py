"""Where the files that come with the app lie: the checkout's top level, or `app/_data` in an installed wheel.

The only module that knows both places.
"""

from __future__ import annotations

from pathlib import Path

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
