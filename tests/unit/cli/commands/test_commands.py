"""Usage errors, lists and the configuration commands."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from app import __version__
from app.cli.common.exit_codes import ExitCode
from app.config.paths import config_file


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bogus"], "No such option: --bogus"),
        (["bogus"], "No such command 'bogus'"),
        (["ask", "x", "--top-k", "many"], "'many' is not a whole number"),
        (["ask", "x", "--temperature", "nan"], "'nan' is not a finite number"),
        (["ask", "x", "--min-p", "2"], "2 is more than 1"),
        (["ask", "x", "--seed", "-1"], "-1 is less than 0"),
        (["ask", "x", "y"], "unexpected extra argument"),
        (["ask", "x", "--logprobs", "3"], "--logprobs needs --json, --jsonl or --trace"),
        (["-m", "x", "ask", "y"], "put command options after the command name"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_usage_error_exits_with_2_and_one_line(tok, arguments: list[str], message: str) -> None:
    outcome = tok(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("tok: ")
    assert message in outcome.err.splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "command"),
    [(["bogus"], "tok"), (["ask", "--bogus"], "tok ask"), (["models", "plan", "--bogus"], "tok models plan")],
    ids=lambda value: "" if isinstance(value, list) else value,
)
def test_a_usage_error_names_the_help_that_helps(tok, arguments: list[str], command: str) -> None:
    assert tok(*arguments).err.splitlines()[1] == f"hint: see `{command} --help`"


def test_a_usage_error_is_json_where_json_was_asked_for(tok) -> None:
    outcome = tok("ask", "x", "--json", "--bogus")
    assert outcome.code == 2
    assert outcome.json["error"]["kind"] == "usage"


def test_a_prompt_may_look_like_an_option(tok, model) -> None:
    assert tok("ask", "--", "--json").out == "Hello from the scripted engine.\n"


def test_help_documents_the_exit_codes(tok) -> None:
    outcome = tok("--help")
    reported = " ".join(outcome.out.split())
    assert outcome.code == 0
    for code in ExitCode:
        assert f" {code.value} " in reported


def test_a_bug_is_reported_without_a_traceback(tok, model, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("app.cli.ask.run.look_up", explode)
    outcome = tok("ask", "x", "--json")
    assert (outcome.code, outcome.json["error"]["message"]) == (1, "ZeroDivisionError: oh")
    assert "Traceback" not in outcome.err


def test_presets_are_listed_with_the_default_marked(tok) -> None:
    lines = tok("presets", "list").out.splitlines()
    assert lines[1].split()[:3] == ["*", "balanced", "0.8"]
    assert tok("presets").out.splitlines() == lines


def test_a_preset_is_shown_as_the_toml_that_it_is(tok) -> None:
    import tomllib

    table = tomllib.loads(tok("presets", "show", "precise").out)["presets"]["precise"]
    assert table["dry_sequence_breakers"] == ["\n", ":", '"', "*"]
    assert tok("presets", "show", "nope").code == 3


def test_models_are_listed_with_the_default_marked(tok) -> None:
    header, *rows = tok("models").out.splitlines()
    assert header.split() == ["NAME", "INSTALLED", "SIZE", "QUANT", "CONTEXT", "WHERE"]
    assert [row.split()[0] for row in rows].count("*") == 1


def test_config_path_names_the_file(tok) -> None:
    assert tok("config", "path").out == f"{config_file()}\n"


def test_config_show_is_toml_and_has_every_setting(tok, model: Path) -> None:
    import tomllib

    settings = tomllib.loads(tok("config", "show").out)
    assert settings["model"] == str(model)
    assert settings["trace_top_k"] == 40
    assert settings["trace"] == {"keep": True, "max_mib": 256, "stages": False}


def test_config_check(tok, model) -> None:
    assert tok("config", "check").code == 0
    config_file().write_text('themme = "x"\n', encoding="utf-8")
    outcome = tok("config", "check")
    assert outcome.code == 3
    assert "config.toml:1:1: " in outcome.err
    assert "did you mean `theme`" in outcome.err
    assert "^^^^^^" in outcome.err


def test_config_edit_creates_the_file_and_checks_it_afterwards(tok, tmp_path: Path, monkeypatch) -> None:
    editor = tmp_path / "my editor.py"
    editor.write_text("import sys, pathlib; pathlib.Path(sys.argv[1]).open('a').write('broken')\n")
    monkeypatch.setenv("VISUAL", f"{sys.executable} {json.dumps(str(editor))}")
    outcome = tok("config", "edit")
    assert outcome.code == 3
    assert config_file().read_text(encoding="utf-8").startswith("# tokscope's settings")


def test_config_edit_without_an_editor(tok, monkeypatch) -> None:
    monkeypatch.setenv("EDITOR", "/nonexistent/editor")
    outcome = tok("config", "edit")
    assert outcome.code == 1
    assert "cannot run /nonexistent/editor" in outcome.err


def test_the_version_is_the_packages(tok) -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == __version__


@pytest.mark.parametrize(
    ("words", "completed"),
    [(["tok", "rep"], ["replay"]), (["tok", "ask", "-p", "c"], ["coding", "creative"])],
    ids=["command", "preset"],
)
def test_a_shell_that_completes_is_answered(tok, capsys, monkeypatch, words: list[str], completed: list[str]) -> None:
    # The scripts of `--show-completion` call `tok` without arguments.
    monkeypatch.setenv("_TOK_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", " ".join(words))
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    with pytest.raises(SystemExit) as end:
        tok()
    assert (end.value.code, capsys.readouterr().out.split()) == (0, completed)


@pytest.mark.parametrize("command", [[], ["ask"], ["models", "plan"]], ids=" ".join)
def test_h_is_help(tok, command: list[str]) -> None:
    assert tok(*command, "-h") == tok(*command, "--help")


def test_names_are_completed(model) -> None:
    from app.cli.common.completion import complete_model, complete_preset, complete_theme

    assert complete_preset("pre") == ["precise"]
    assert complete_model("smol") == ["smollm2"]
    assert complete_theme("gra") == ["graphite"]
    config_file().write_text(f"models_dir = {json.dumps(str(model.parent))}\n", encoding="utf-8")
    assert complete_model("t") == ["tiny"]
    config_file().write_text("not toml", encoding="utf-8")
    assert complete_preset("cod") == ["coding"]
