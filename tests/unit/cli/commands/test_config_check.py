"""`tok config check`: names that lead nowhere are found wherever only a higher floor knows them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from app.cli.common.configuration import judge_keys
from app.config.check import check_config
from app.config.paths import config_file, ensure_dir
from app.tui.common.keymap import resolve
from tests.fakes.tiny_gguf import write_tiny_gguf


@pytest.fixture
def write() -> object:
    ensure_dir(config_file().parent)
    return lambda text: config_file().write_text(text, encoding="utf-8")


def reported(outcome) -> list[str]:
    """The first line of each problem, from its line number on."""
    return re.findall(r"^\S*config\.toml:(\d+:\d+: .*)$", outcome.err, re.MULTILINE)


def test_every_name_that_leads_nowhere_has_its_place_and_the_nearest_name(tok, write) -> None:
    write('theme = "graphit"\nmodel = "smollm3"\n[keys]\nstop = "ctrl+m"\nstopp = "ctrl+x"\n')
    outcome = tok("config", "check")
    assert (outcome.code, outcome.out) == (3, "")
    assert reported(outcome) == [
        "1:1: there is no theme `graphit`; did you mean `graphite`?",
        "2:1: there is no model `smollm3`; did you mean `smollm2`?",
        "4:1: the key `ctrl+m` cannot be used: terminals send it for Enter",
        "5:1: there is no command `stopp`; did you mean `stop`?",
    ]
    assert '    5 | stopp = "ctrl+x"\n      | ^^^^^' in outcome.err


def test_a_models_dir_that_is_not_there(tok, write, tmp_path: Path) -> None:
    write(f'models_dir = "{tmp_path}/gone"\n')
    assert reported(tok("config", "check")) == [f"1:1: there is no folder `{tmp_path}/gone`"]


def test_a_model_far_from_any_name(tok, write) -> None:
    write('model = "zzz"\n')
    assert reported(tok("config", "check")) == ["1:1: there is no model `zzz`"]


def test_a_presets_model_is_looked_for_once(tok, write) -> None:
    write('[presets.a]\nmodel = "./gone.gguf"\n[presets.b]\nbased_on = "a"\n')
    assert reported(tok("config", "check")) == ["2:1: there is no file ./gone.gguf"]


def test_a_models_file_that_is_no_model(tok, write, tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"no")
    write(f'models_dir = "{tmp_path}"\nmodel = "bad"\n')
    (problem,) = reported(tok("config", "check"))
    assert problem.startswith("2:1: ")
    assert "did you mean" not in problem


def test_a_file_in_models_dir_is_right_and_suggested(tok, write, tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "unusual.gguf")
    write(f'models_dir = "{tmp_path}"\nmodel = "unusual"\n')
    assert tok("config", "check").code == 0
    write(f'models_dir = "{tmp_path}"\nmodel = "unusal"\n')
    assert reported(tok("config", "check")) == ["2:1: there is no model `unusal`; did you mean `unusual`?"]


def test_a_syntax_error_is_reported_once(tok, write) -> None:
    write('model = "nonesuch"\ntheme = \n')
    outcome = tok("config", "check")
    assert (outcome.code, len(reported(outcome))) == (3, 1)


@pytest.mark.parametrize(
    "keys",
    [
        'stop = "f5"\nnew = "F5"',
        'stop = "f5, f5"',
        'stop = "f5,ctrl+q"',
        'stop = "q, ctrl+nope"',
        'nope = "f5"\nnew = "f5"',
        'stop = "hyper+x"',
        'stop = " , "',
    ],
)
def test_the_chat_and_the_check_agree_on_keys(write, keys: str) -> None:
    write(f"[keys]\n{keys}\n")
    notices = resolve(tomllib.loads(keys)).notices
    assert len(check_config(judge_keys)) == len(notices)
