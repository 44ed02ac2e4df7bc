"""JSON schemas before the converter: what it does not know is spelt out, and where it stumbled is found."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.engine.native.bindings import json_schema_to_gbnf
from app.engine.text.schema import place_of, prepared, schema_notice, too_many

NODE: dict[str, Any] = {
    "type": "object",
    "properties": {"v": {"type": "integer"}, "kids": {"type": "array", "items": {"$ref": "#/$defs/n"}}},
}


PLACES: list[tuple[Any, str]] = [
    ({"type": "foo"}, ""),
    ({"properties": {"a/b": {"anyOf": [{"type": "null"}, {"type": "foo"}]}}}, "/properties/a~1b/anyOf/1"),
    ({"type": "array", "items": {"type": "string", "pattern": "^(?=a)$"}}, "/items"),
    ({"properties": {"items": {"type": "array", "items": [{"not": {}}]}}}, "/properties/items/items/0"),
]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {}},
        {"type": "array", "items": True, "minItems": 2},
        {"type": "object", "properties": {"a": True, "b": {}}, "required": ["a"], "additionalProperties": True},
        {"$ref": "#/$defs/n", "$defs": {"n": NODE}},
    ],
)
def test_what_the_converter_does_not_know_is_spelt_out(schema: Any) -> None:
    with pytest.raises((KeyError, AttributeError)):
        json_schema_to_gbnf(json.dumps(schema))
    assert "root ::=" in json_schema_to_gbnf(json.dumps(prepared(schema)))


@pytest.mark.parametrize(("schema", "place"), PLACES)
def test_the_place_that_cannot_be_turned_is_found(schema: Any, place: str) -> None:
    with pytest.raises((AssertionError, ValueError, NotImplementedError)) as error:
        json_schema_to_gbnf(json.dumps(schema))
    assert place_of(schema, error.value, json_schema_to_gbnf) == place


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "string", "minLength": 10_000, "maxLength": 10_000}, ""),
        ({"type": "string", "minLength": 10**8}, "at /minLength: 100,000,000 is more than 10,000"),
        ({"properties": {"a": {"maxItems": 10_001}}}, "at /properties/a/maxItems: 10,001 is more than 10,000"),
        ({"properties": {"minItems": {"const": 99_999}}}, ""),
        ({"type": "string", "pattern": "^a{2,9}[0-9]{99999999}$"}, "at /pattern: 99,999,999 is more than 10,000"),
        ({"type": "string", "pattern": "^12345678{2,10000}$"}, ""),
    ],
)
def test_more_repetitions_than_can_be_written_out_are_refused_before_anybody_tries(schema: Any, said: str) -> None:
    assert too_many(schema) == said


NO_EFFECT = "the grammar cannot express this part of the JSON schema, which has no effect: "


@pytest.mark.parametrize(
    ("schema", "places"),
    [
        ({"type": "integer", "minimum": 5, "maximum": 10}, "/minimum, /maximum"),
        ({"properties": {"a/b": {"type": "string", "format": "email"}}}, "/properties/a~1b/format"),
        ({"properties": {"a": {"type": "string", "format": "uuid"}}, "required": ["a", "b"]}, "/required"),
        ({"anyOf": [{"multipleOf": n} for n in range(7)]}, ", ".join(f"/anyOf/{n}/multipleOf" for n in range(5))),
        ({"properties": {"minimum": {"enum": [1, 2]}, "if": {"type": "string", "format": "date-time"}}}, ""),
        ({"type": "array", "items": {"pattern": "^a$"}, "minItems": 2, "maxItems": 3, "title": "t"}, ""),
        (True, ""),
    ],
)
def test_what_the_grammar_cannot_express_is_told_with_its_places(schema: Any, places: str) -> None:
    more = " and 2 more" if len(places) > 60 else ""
    assert schema_notice(json.dumps(schema)) == (f"{NO_EFFECT}{places}{more}" if places else "")


@pytest.mark.parametrize("text", [None, "", "{", "[" * 100_000])
def test_of_what_is_no_schema_nothing_is_told(text: str | None) -> None:
    assert schema_notice(text) == ""
