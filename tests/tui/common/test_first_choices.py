"""The preset that the chat starts with: asked for, configured, chosen last, the default; in this order."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config.settings import load_settings
from app.domain.errors import ConfigError
from app.tui.common.preferences import Preferences, first_preset, remember_preset


@pytest.mark.parametrize(
    ("asked", "config", "last", "expected"),
    [
        (None, "", "", "balanced"),
        (None, "", "creative", "creative"),
        (None, 'preset = "balanced"', "creative", "balanced"),
        ("precise", 'preset = "balanced"', "creative", "precise"),
        (None, 'preset = "wrong"', "creative", "creative"),
    ],
)
def test_the_order(tmp_path: Path, asked: str | None, config: str, last: str, expected: str):
    file = tmp_path / "config.toml"
    file.write_text(config)
    memory = Preferences(None)
    if last:
        remember_preset(memory, last)
    preset, notices = first_preset(asked, load_settings(file), memory)
    assert (preset.name, notices) == (expected, ())


def test_a_last_one_that_is_gone_is_said(tmp_path: Path):
    memory = Preferences(None)
    remember_preset(memory, "mine")
    preset, notices = first_preset(None, load_settings(tmp_path / "none.toml"), memory)
    assert preset.name == "balanced"
    assert notices == ("The preset “mine” that was used last no longer exists: “balanced” is used.",)


def test_one_that_was_asked_for_must_be_there(tmp_path: Path):
    with pytest.raises(ConfigError, match="presice"):
        first_preset("presice", load_settings(tmp_path / "none.toml"), Preferences(None))
