"""One setting is written; everything else of the file stays as the person wrote it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.config.settings import load_settings
from app.config.writer import default_config_text, write_setting
from app.domain.errors import ConfigError

OWN = """\
# mine
theme = "ember"   # dark, please

preset  =  'precise' # for work

[presets.mine]
temperature = 0.1  # low
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config" / "config.toml"


def given(file: Path, text: str) -> Path:
    file.parent.mkdir()
    file.write_text(text)
    return file


def test_only_the_value_changes(file: Path):
    assert write_setting("preset", "mine", given(file, OWN)) == file
    assert file.read_text() == OWN.replace("'precise'", '"mine"')
    assert load_settings(file).settings.preset == "mine"


def test_a_new_key_goes_before_the_tables(file: Path):
    write_setting("model", 'odd "name"\\', given(file, OWN))
    loaded = load_settings(file)
    assert (loaded.settings.model, loaded.problems) == ('odd "name"\\', [])
    assert [line for line in OWN.splitlines() if line not in file.read_text().splitlines()] == []


def test_a_missing_file_is_made_with_every_setting_explained(file: Path):
    write_setting("preset", "creative", file)
    assert load_settings(file).settings.preset == "creative"
    assert '#theme = "auto"' in file.read_text()


def test_a_file_that_is_no_toml_stays(file: Path):
    given(file, "preset = \n")
    with pytest.raises(ConfigError, match="`preset` cannot be written"):
        write_setting("preset", "creative", file)
    assert file.read_text() == "preset = \n"
    assert os.listdir(file.parent) == ["config.toml"]


def test_a_link_and_its_targets_mode_stay(file: Path, tmp_path: Path):
    target = tmp_path / "dotfiles.toml"
    target.write_text(OWN)
    target.chmod(0o640)
    file.parent.mkdir()
    file.symlink_to(target)
    write_setting("preset", "mine", file)
    assert (file.is_symlink(), target.stat().st_mode & 0o777) == (True, 0o640)
    assert load_settings(target).settings.preset == "mine"


def test_a_folder_that_cannot_be_written_is_said(file: Path, monkeypatch):
    given(file, OWN)

    def full(*_arguments, **_more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ConfigError, match="No space left on device"):
        write_setting("preset", "mine", file)
    assert file.read_text() == OWN
    assert list(file.parent.glob(".*.part")) == []


def test_the_starter_says_everything_once():
    comments = [line for line in default_config_text().splitlines() if line.startswith("# ")]
    assert len(comments) > 5
    assert len(set(comments)) == len(comments)
