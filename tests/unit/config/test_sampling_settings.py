"""The newer sampling fields in a preset: tables, lists with choices, grammars; and the setting for speculation."""

from __future__ import annotations

import pytest

from app.domain.sampling import SamplingParams, thinking_params


def test_every_kind_of_field_is_read(load) -> None:
    loaded = load(
        "[presets.x]\n"
        'samplers = ["top-k", "temperature"]\n'
        'ban = ["rain", "#7"]\n'
        'force = ["Yes"]\n'
        "exact = true\n"
        "mirostat = 2\n"
        "dynatemp_range = 0.5\n"
        "adaptive_target = -1\n"
        "grammar = '''\nroot ::= \"yes\"\n'''\n"
        "[presets.x.logit_bias]\n"
        "rain = 2\n"
        '"#11" = -5.5\n'
    )
    assert loaded.problems == []
    assert loaded.settings.presets["x"].sampling == SamplingParams(
        samplers=("top-k", "temperature"),
        ban=("rain", "#7"),
        force=("Yes",),
        exact=True,
        mirostat=2,
        dynatemp_range=0.5,
        grammar='root ::= "yes"\n',
        logit_bias={"rain": 2.0, "#11": -5.5},
    )


@pytest.mark.parametrize(
    ("line", "column", "message"),
    [
        ('samplers = ["top-k", "heat"]', 1, "`samplers` has a wrong item 2: it must be one of logit-bias, penalties"),
        ('samplers = "top-k"', 1, "`samplers` must be a list, not text"),
        ("logit_bias = 1", 1, "`logit_bias` must be a table, not a whole number"),
        ('logit_bias = { b = 1, a = "much" }', 23, "`a` must be a number, not text"),
        ("logit_bias = { a = inf }", 16, "`a` must be a finite number"),
        ("mirostat = 3", 1, "`mirostat` must be one of 0, 1, 2"),
        ("exact = 1", 1, "`exact` must be true or false, not a whole number"),
        ("ban = [1]", 1, "`ban` has a wrong item 1: it must be text, not a whole number"),
    ],
)
def test_a_mistake_has_its_place(load, line: str, column: int, message: str) -> None:
    (problem,) = load(f"[presets.x]\n{line}\n").problems
    assert (problem.line, problem.column) == (2, column)
    assert problem.message.startswith(message)


@pytest.mark.parametrize(("name", "meant"), [("top_k", "top-k"), ("minp", "min-p"), ("???", "")])
def test_an_unknown_stage_is_reported_with_the_nearest(load, name: str, meant: str) -> None:
    (problem,) = load(f'[presets.x]\nsamplers = ["temperature", "{name}"]\n').problems
    assert problem.suggestion == meant


def test_speculation_is_off_or_by_ngram(load) -> None:
    assert load("").settings.speculation == "off"
    assert load('speculation = "ngram"').settings.speculation == "ngram"
    loaded = load('speculation = "ngam"')
    assert loaded.settings.speculation == "off"
    assert loaded.problems[0].suggestion == "ngram"


def test_values_for_thinking_are_a_table_of_their_own_and_are_inherited(load) -> None:
    loaded = load(
        '[presets.a]\ntemperature = 0.5\n[presets.a.thinking]\ntemperature = 1.2\nsamplers = ["top-k"]\n'
        '[presets.b]\nbased_on = "a"\nthinking = { top_k = 5, temperature = 1 }\n'
    )
    assert loaded.problems == []
    chosen = {name: preset.sampling for name, preset in loaded.settings.presets.items()}
    assert chosen["a"].thinking == {"temperature": 1.2, "samplers": ("top-k",)}
    assert chosen["b"].thinking == {"temperature": 1.0, "samplers": ("top-k",), "top_k": 5}
    inside = thinking_params(chosen["b"])
    assert inside == SamplingParams(temperature=1.0, samplers=("top-k",), top_k=5)
    assert thinking_params(SamplingParams()) is None


@pytest.mark.parametrize(
    ("thinking", "column", "message"),
    [
        ("3", 1, "`thinking` must be a table, as in `[presets.x.thinking]`"),
        ("{ seed = 3 }", 14, "`seed` applies to the whole reply, not to thinking alone"),
        ("{ temprature = 3 }", 14, "unknown key `temprature`"),
        ("{ top_k = -1 }", 14, "`top_k` must be at least 0, not -1"),
    ],
)
def test_a_mistake_in_the_values_for_thinking(load, thinking: str, column: int, message: str) -> None:
    loaded = load(f"[presets.x]\nthinking = {thinking}\n")
    (problem,) = loaded.problems
    assert (problem.line, problem.column) == (2, column)
    assert problem.message == message
    assert loaded.flawed_presets == {"x"}
