"""A configuration with mistakes: the good parts answer, unless the mistake is in what was asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.config.paths import config_file, user_models_file
from tests.fakes.scripted_engine import ScriptedEngine


def configure(model: Path, text: str = "", top: str = "") -> None:
    config_file().write_text(f"{top or f'model = {json.dumps(str(model))}'}\n{text}", encoding="utf-8")


BROKEN = "[presets.mine]\ntemperature = 'hot'\n"
BASED = f"{BROKEN}[presets.other]\nbased_on = 'mine'\n"
GOOD = "[presets.fine]\ntemperature = 0.5\n"


@pytest.mark.parametrize(
    ("text", "arguments", "n_reported"),
    [
        ('fps = "x"\nthemme = 1\n', [], 2),
        (BASED + GOOD, [], 1),
        (BASED + GOOD, ["-p", "fine"], 1),
        ('preset = "nonesuch"\n', ["-p", "precise"], 1),
        ("[keys]\nstop = 1\n", [], 1),
    ],
)
def test_a_mistake_elsewhere_is_reported_and_the_rest_is_used(tok, model, text, arguments, n_reported) -> None:
    configure(model, text)
    outcome = tok("ask", "x", *arguments, engine=ScriptedEngine(["fine"]))
    assert (outcome.code, outcome.out) == (0, "fine\n")
    assert outcome.err.count(f"{config_file()}:") == n_reported


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        (BASED, ["-p", "mine"], "the preset `mine` has mistakes"),
        (BASED, ["-p", "other"], "the preset `other` has mistakes"),
        ('preset = "mine"\n' + BROKEN, [], "the preset `mine` has mistakes"),
        ('preset = "nonesuch"\n', [], "`preset` has a mistake"),
        ("presets = 5\n", ["-p", "mine"], "there is no preset `mine`"),
        ("fps = \n", [], "cannot be read"),
    ],
)
def test_a_mistake_in_the_preset_ends_the_command(tok, model, text, arguments, message) -> None:
    configure(model, text)
    outcome = tok("ask", "x", *arguments, "--json")
    assert (outcome.code, outcome.json["error"]["kind"]) == (3, "config")
    assert message in outcome.json["error"]["message"]
    assert outcome.err.count(f"{config_file()}:") == 1


def test_a_model_of_the_wrong_kind_ends_the_command_unless_another_is_named(tok, model) -> None:
    configure(model, top="model = 5")
    outcome = tok("ask", "x")
    assert (outcome.code, outcome.err.splitlines()[0]) == (3, "tok: `model` has a mistake")
    assert tok("ask", "x", "-m", str(model)).code == 0


def test_a_mistake_in_a_models_entry_ends_the_command_for_that_model(tok, model) -> None:
    configure(model)
    good, bad = f"[models.a-1]\nsource = {json.dumps(str(model))}\n", "n_ctx = 'large'\n"
    user_models_file().write_text(f"{good}[models.'a-1.5']\nsource = {json.dumps(str(model))}\n{bad}")
    outcome = tok("ask", "x", "-m", "a-1.5")
    assert (outcome.code, outcome.err.splitlines()[0]) == (3, "tok: the model `a-1.5` has mistakes")
    assert tok("ask", "x", "-m", "a-1.5", "--draft", "a-1").code == 3
    for arguments in ([], ["-m", "a-1"], ["-m", str(model)]):
        outcome = tok("ask", "x", *arguments)
        assert outcome.code == 0
        assert "models.toml:5:1" in outcome.err


def test_a_draft_models_entry_counts_too(tok, model) -> None:
    configure(model)
    user_models_file().write_text(f"[models.small]\nsource = {json.dumps(str(model))}\nn_ctx = 'large'\n")
    outcome = tok("ask", "x", "--draft", "small")
    assert (outcome.code, outcome.err.splitlines()[0]) == (3, "tok: the model `small` has mistakes")


def test_a_default_that_is_not_there_counts_where_nobody_names_a_model(tok, model) -> None:
    user_models_file().write_text("default = 'nonesuch'\n")
    configure(model)
    assert tok("ask", "x").code == 0
    configure(model, top="fps = 30")
    outcome = tok("ask", "x")
    assert (outcome.code, outcome.err.splitlines()[0]) == (3, "tok: `default` of models.toml has a mistake")


def test_a_right_configuration_is_silent(tok, model) -> None:
    configure(model, GOOD)
    assert tok("ask", "x", "-p", "fine").err == ""


def test_a_models_file_that_cannot_be_read_counts_for_the_models_of_the_catalogue(tok, model) -> None:
    configure(model)
    user_models_file().write_text("default = \n")
    outcome = tok("ask", "x", "-m", "smollm2")
    assert (outcome.code, outcome.err.splitlines()[0]) == (3, "tok: `models.toml` cannot be read")
    outcome = tok("ask", "x")
    assert outcome.code == 0
    assert "models.toml:1:" in outcome.err
