"""Arguments that name nothing, or are no text: said, with the argument's name, before anything is sent."""

from __future__ import annotations

import os
import pwd

import pytest

from app import __version__
from app.config import paths
from tests.fakes.scripted_engine import ScriptedEngine


@pytest.mark.parametrize(
    ("arguments", "name", "kind"),
    [
        (["ask", "x", "-m", ""], "--model", "MODEL"),
        (["ask", "x", "--model="], "--model", "MODEL"),
        (["ask", "x", "-p", " "], "--preset", "PRESET"),
        (["ask", "x", "--draft", ""], "--draft", "MODEL"),
        (["ask", "x", "-f", ""], "--file", "FILE"),
        (["ask", "x", "--trace", ""], "--trace", "FILE"),
        (["chat", "--theme", ""], "--theme", "THEME"),
        (["-m", ""], "--model", "MODEL"),
        (["batch", "in.jsonl", "-o", ""], "--output", "OUT"),
        (["batch", "", "-o", "out.jsonl"], "IN", "IN"),
        (["trace", "x", "-o", ""], "--output", "OUT"),
        (["bench", "-m", ""], "--model", "MODEL"),
        (["models", "plan", ""], "MODEL", "MODEL"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_names_nothing_is_a_usage_error(tok, arguments: list[str], name: str, kind: str) -> None:
    outcome = tok(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert name in outcome.err.splitlines()[0]
    assert f"it is empty; give a {kind} or omit the option" in outcome.err


def test_an_empty_text_is_a_text(tok, model) -> None:
    engine = ScriptedEngine(["answer"])
    assert tok("ask", "x", "-s", "", engine=engine).code == 0
    assert [message.role for message in engine.requests[0].messages] == ["user"]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["ask", "caf\udce9"], "PROMPT"),
        (["ask", "x", "-s", "caf\udce9"], "--system"),
        (["ask", "x", "-p", "caf\udce9"], "--preset"),
        (["next", "caf\udce9"], "PROMPT"),
        (["inspect", "caf\udce9"], "TEXT"),
        (["tokenize", "caf\udce9"], "TEXT"),
        (["history", "caf\udce9"], "SEARCH"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else value,
)
def test_bytes_that_are_no_text_are_never_sent(tok, model, arguments: list[str], name: str) -> None:
    engine = ScriptedEngine(["answer"])
    outcome = tok(*arguments, engine=engine)
    assert (outcome.code, outcome.out, engine.requests) == (2, "", [])
    first, hint = outcome.err.splitlines()
    assert first == "tok: `caf\ufffd` is not UTF-8 text"
    assert name in hint


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    for name in list(os.environ):
        if name == "HOME" or name.startswith(("XDG_", "TOKSCOPE_")):
            monkeypatch.delenv(name)
    monkeypatch.setattr(pwd, "getpwuid", nobody)


@pytest.mark.usefixtures("homeless")
def test_without_a_home_the_version_is_shown_and_the_rest_says_what_to_set(
    tok, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    outcome = tok("--version")
    assert (outcome.code, outcome.out) == (0, f"tokscope {__version__}\n")
    assert "your home folder is not known" in outcome.err
    for command in (["ask", "x"], ["config", "path"], ["history"]):
        outcome = tok(*command)
        assert outcome.code == 3
        assert outcome.err.splitlines()[-1] == (
            "hint: set HOME, or TOKSCOPE_CONFIG_DIR, TOKSCOPE_DATA_DIR and TOKSCOPE_CACHE_DIR"
        )
    monkeypatch.setenv("TOKSCOPE_CACHE_DIR", str(tmp_path))
    assert paths.cache_dir() == tmp_path
