"""Fixtures of the configuration's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config.settings import LoadedSettings, load_settings


@pytest.fixture
def load(tmp_path: Path):
    """Reads a text as config.toml."""

    def load(text: str) -> LoadedSettings:
        path = tmp_path / "config.toml"
        path.write_text(text)
        return load_settings(path)

    return load
