"""What outlives a session."""

from __future__ import annotations

from pathlib import Path

from app.tui.common.preferences import Preferences


def test_a_choice_is_recalled_by_the_next_session(tmp_path: Path) -> None:
    file = tmp_path / "data" / "remembered.json"
    Preferences(file).remember("theme", "ember", "auto")
    assert Preferences(file).recall("theme", "auto") == "ember"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["remembered.json"]


def test_a_changed_setting_wins_over_the_choice(tmp_path: Path) -> None:
    file = tmp_path / "remembered.json"
    Preferences(file).remember("theme", "ember", "auto")
    assert Preferences(file).recall("theme", "paper") == "paper"


def test_a_damaged_file_is_as_none(tmp_path: Path) -> None:
    file = tmp_path / "remembered.json"
    file.write_bytes(b"\x00{nonsense")
    memory = Preferences(file)
    assert memory.recall("theme", "auto") == "auto"
    memory.remember("theme", "ember", "auto")
    assert Preferences(file).recall("theme", "auto") == "ember"


def test_a_file_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    memory = Preferences(tmp_path / "file" / "remembered.json")
    memory.remember("theme", "ember", "auto")
    assert memory.recall("theme", "auto") == "ember"
