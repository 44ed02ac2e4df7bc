"""A preset's grammar and schema: problems that need no engine are reported with the place of the key."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("lines", "place", "key", "message"),
    [
        (
            "grammar = 'root ::= \"a\"'\njson_schema = '{}'",
            (2, 1),
            "presets.x.grammar",
            "`json_schema` and `grammar` exclude each other: set only one of them",
        ),
        (
            "regex = 'a'\nlark = 'b'",
            (3, 1),
            "presets.x.lark",
            "`regex` and `lark` exclude each other: set only one of them",
        ),
        ('grammar = ""', (2, 1), "presets.x.grammar", "`grammar` is empty"),
        ('regex = " "', (2, 1), "presets.x.regex", "`regex` is empty"),
        (
            "json_schema = '{\"type\": }'",
            (2, 1),
            "presets.x.json_schema",
            "`json_schema` is not JSON: line 1, column 10: Expecting value",
        ),
        (
            "json_schema = '[]'",
            (2, 1),
            "presets.x.json_schema",
            '`json_schema` must be a JSON object, as in {"type": "array"}',
        ),
        (
            "[presets.x.thinking]\njson_schema = '{'",
            (3, 1),
            "presets.x.thinking.json_schema",
            "`json_schema` is not JSON: line 1, column 2: Expecting property name enclosed in double quotes",
        ),
    ],
)
def test_a_mistake_has_its_place(load, lines: str, place: tuple[int, int], key: str, message: str) -> None:
    loaded = load(f"[presets.x]\n{lines}\n")
    (problem,) = loaded.problems
    assert (problem.line, problem.column) == place
    assert (problem.key, problem.message) == (key, message)
    assert loaded.flawed_presets == {"x"}


def test_good_ones_are_taken(load) -> None:
    loaded = load("[presets.x]\ngrammar = 'root ::= [a-z]+'\n[presets.y]\njson_schema = '{\"type\": \"array\"}'\n")
    assert loaded.problems == []
    assert loaded.settings.presets["x"].sampling.grammar == "root ::= [a-z]+"
    assert loaded.settings.presets["y"].sampling.json_schema == '{"type": "array"}'


def test_its_own_takes_the_other_one_of_its_base_away(load) -> None:
    loaded = load(
        "[presets.x]\ngrammar = 'root ::= [a-z]+'\n[presets.x.thinking]\njson_schema = '{}'\n"
        "[presets.y]\nbased_on = 'x'\njson_schema = '{}'\n[presets.y.thinking]\ngrammar = 'root ::= [0-9]'\n"
    )
    assert loaded.problems == []
    sampling = loaded.settings.presets["y"].sampling
    assert (sampling.grammar, sampling.json_schema) == (None, "{}")
    assert sampling.thinking == {"grammar": "root ::= [0-9]"}


def test_regex_and_lark_are_taken(load) -> None:
    loaded = load(
        "[presets.x]\nregex = 'a+'\n[presets.y]\nbased_on = 'x'\nlark = 'start: \"a\"'\nschema_lenient = true\n"
    )
    assert loaded.problems == []
    assert loaded.settings.presets["x"].sampling.regex == "a+"
    sampling = loaded.settings.presets["y"].sampling
    assert (sampling.regex, sampling.lark, sampling.schema_lenient) == (None, 'start: "a"', True)
