import re
import stat
import tomllib
from pathlib import Path

import pytest

from app.config import paths
from app.config import paths as resources
from app.config.check import check_config
from app.config.settings import Settings, load_settings
from app.config.writer import default_config_text


def test_paths_follow_the_environment(tmp_path: Path) -> None:
    assert paths.config_file() == tmp_path / "tokscope" / "config" / "config.toml"
    assert paths.user_models_file() == tmp_path / "tokscope" / "config" / "models.toml"
    assert paths.user_themes_dir() == tmp_path / "tokscope" / "config" / "themes"
    assert paths.database_file().parent == tmp_path / "tokscope" / "data"
    assert paths.engine_log_file().parent == tmp_path / "tokscope" / "cache"


def test_overrides_are_expanded_and_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/people/somebody")
    monkeypatch.setenv("TOKSCOPE_CONFIG_DIR", "~/c")
    monkeypatch.setenv("TOKSCOPE_DATA_DIR", "d")
    monkeypatch.setenv("TOKSCOPE_CACHE_DIR", "")
    assert paths.config_dir() == Path("/people/somebody/c")
    assert paths.data_dir() == tmp_path / "d"
    assert paths.cache_dir().is_absolute()
    assert paths.cache_dir().name.casefold() in {"tokscope", "cache"}


def test_folders_are_private(tmp_path: Path) -> None:
    folder = paths.ensure_dir(tmp_path / "new")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert paths.ensure_dir(folder) == folder


def test_resources_of_a_wheel_and_of_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resources.models_toml().is_file()
    assert resources.themes_dir().is_dir()
    monkeypatch.setattr(resources, "_WHEEL_DATA", tmp_path)
    assert resources.models_toml() == tmp_path / "models.toml"
    assert resources.themes_dir() == tmp_path / "themes"


def test_the_starter_config_changes_nothing_and_is_right_when_uncommented(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(default_config_text())
    assert tomllib.loads(default_config_text()) == {}
    path.write_text(re.sub(r"^#(?! )", "", default_config_text(), flags=re.MULTILINE))
    loaded = load_settings(path)
    assert loaded.problems == []
    reported = set(tomllib.loads(path.read_text()))
    assert reported == set(Settings.__struct_fields__)
    assert loaded.settings.presets["haiku"].sampling.stop == ("\n\n",)


def test_relative_models_dir_starts_at_the_config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("HOME", "/people/somebody")
    for text, expected in [("m", tmp_path / "m"), ("~/m", Path("/people/somebody/m")), ("/m", Path("/m"))]:
        path.write_text(f'models_dir = "{text}"')
        assert load_settings(path).settings.models_dir == str(expected)


def test_check_gathers_every_file() -> None:
    assert check_config() == []
    paths.ensure_dir(paths.user_themes_dir())
    paths.config_file().write_text('theme = "papr"\nfps = 0')
    paths.user_models_file().write_text("[models.x]\n")
    paths.user_themes_dir().joinpath("t.toml").write_text("[colors]\n")
    found = [(p.file.name, p.line, p.key, p.suggestion) for p in check_config()]
    assert found == [
        ("config.toml", 1, "theme", "paper"),
        ("config.toml", 2, "fps", ""),
        ("models.toml", 1, "models.x", ""),
        ("t.toml", 1, "colors", ""),
    ]
