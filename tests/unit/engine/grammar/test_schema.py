"""JSON Schemas: what they allow and refuse, and unsupported keywords with their pointers."""

# ruff: noqa: E501 -- one case a line

from __future__ import annotations

import json
from typing import Any

import pytest

from app.engine.core.backend import SamplingError
from tests.fakes.byte_vocab import accepts, matcher, notices

OBJECT = {"type": "object", "properties": {"a": {"type": "integer"}}}
PET = {
    "oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}],
    "$defs": {
        name: {"type": "object", "properties": {"kind": {"const": name.lower()}, key: True}, "required": ["kind"]}
        for name, key in (("Cat", "meows"), ("Dog", "barks"))
    },
}
TREE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"v": {"type": "integer"}, "next": {"$ref": "#/$defs/node"}},
            "required": ["v"],
            "additionalProperties": False,
        }
    },
}


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        # What the grammars of llama.cpp's converter got wrong.
        ({"type": "string"}, ['"a\\nb"', '"é"', '"\\u0001"'], ['"a\nb"', '"a\tb"', '"\x01"', '"\\x"']),
        ({**OBJECT, "additionalProperties": True}, ['{"a":1}', '{"a":1,"x":{}}', '{"x":{}}'], ['{"a":1"x":{}}', '{"a":""}']),
        ({"type": "integer", "minimum": 1, "maximum": 99}, ["1", "99"], ["0", "100", "2018", "1.5", "-5", "01"]),
        ({"enum": ["a\\c", 'q"q', "\n", 1, None]}, ['"a\\\\c"', '"q\\"q"', '"\\n"', "1", "null"], ['"a\\c"', "2", '"q"']),
        (
            {"type": "object", "properties": {"C:\\dir": {"type": "null"}}, "required": ["C:\\dir"]},
            ['{"C:\\\\dir":null}'],
            ['{"C:\\dir":null}', "{}"],
        ),
        ({"type": ["string", "null"], "enum": ["a", None]}, ['"a"', "null"], ['"b"', "1"]),
        ({"properties": {"a": {"type": "integer"}}, "allOf": [{"required": ["a"]}], "type": "object"}, ['{"a":1}'], ["{}", '{"a":""}']),
        ({"type": "string", "allOf": [{"enum": ["a", 1]}]}, ['"a"'], ["1", '"b"']),
        ({"$ref": "#/$defs/s", "maxLength": 1, "$defs": {"s": {"type": "string"}}}, ['"a"'], ['"ab"', "1"]),
        ({"description": "anything"}, ["1", '"a"', "[]", "{}", "null", "true", "-1.5e3"], ["", "nul"]),
        ({}, ['{"a":[1,{}]}'], ["{a:1}"]),
        # Numbers.
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1.5}, ["0.1", "1.5", "1"], ["0", "1.51", "-1", "2"]),
        ({"type": "integer", "multipleOf": 5, "minimum": -10}, ["0", "-10", "15"], ["3", "-15"]),
        ({"minimum": 3}, ["3", '"a"', "null"], ["2"]),
        ({"type": "number", "exclusiveMinimum": True, "minimum": 3}, ["4"], ["3"]),
        ({"const": 1.0}, ["1"], ["2"]),
        # Texts.
        ({"type": "string", "minLength": 2.0, "maxLength": 3}, ['"ab"', '"😀😀"'], ['"a"', '"abcd"']),
        # Arrays.
        ({"type": "array", "items": {"type": "null"}, "minItems": 1, "maxItems": 2}, ["[null]", "[null,null]"], ["[]", "[null,null,null]", "[1]"]),
        ({"type": "array", "prefixItems": [{"const": 1}], "items": False}, ["[]", "[1]"], ["[2]", "[1,1]"]),
        ({"type": "array", "items": [{"const": 1}], "additionalItems": {"const": 2}}, ["[1,2,2]"], ["[1,1]"]),
        ({"type": "array", "contains": True, "minContains": 2}, ["[1,2]"], ["[1]"]),
        ({"type": "array", "contains": {"const": 1}, "maxContains": 0, "minContains": 0}, ["[2]", "[]"], ["[1]"]),
        ({"type": "array", "uniqueItems": False}, ["[1,1]"], []),
        # Objects.
        ({**OBJECT, "required": ["b"]}, ['{"a":1,"b":{}}', '{"b":1}'], ["{}", '{"a":1}']),
        ({**OBJECT, "additionalProperties": False}, ["{}", '{"a":1}'], ['{"b":1}', '{"a":1,"a":1}']),
        ({"type": "object", "patternProperties": {"^x": {"type": "null"}}, "additionalProperties": False}, ['{"x1":null}'], ['{"x":1}', '{"y":null}']),
        ({"type": "object", "minProperties": 1}, ['{"a":1}'], ["{}"]),
        ({"type": "object", "maxProperties": 1}, ["{}", '{"a":1}'], ['{"a":1,"b":1}']),
        ({"type": "object", "propertyNames": {"minLength": 1, "maxLength": 2}}, ['{"ab":1}', "{}"], ['{"abc":1}', '{"":1}']),
        ({"type": "object", "propertyNames": {"pattern": "^a"}}, ['{"ab":1}', "{}"], ['{"ba":1}']),
        ({"type": "object", "propertyNames": {"enum": ["x", "y"]}}, ['{"x":1}'], ['{"z":1}']),
        ({"type": "object", "propertyNames": False}, ["{}"], ['{"x":1}']),
        ({"type": "object", "dependentRequired": {"a": ["b"]}}, ["{}", '{"b":1}', '{"b":1,"a":1}'], ['{"a":1}']),
        ({"type": "object", "dependentSchemas": {"a": {"maxProperties": 1}}}, ['{"a":1}', '{"b":1,"c":2}'], ['{"a":1,"b":2}']),
        # Combinations.
        ({"anyOf": [{"type": "integer"}, {"type": "string", "maxLength": 1}]}, ["1", '"a"'], ['"ab"', "null"]),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, ["1", '"a"'], ["null", "1.5"]),
        ({"oneOf": [{"minimum": 5, "type": "number"}, {"maximum": 9, "type": "number"}]}, ["1", "10"], ["5", "7", "9"]),
        (PET, ['{"kind":"cat","meows":1}', '{"kind":"dog"}'], ['{"kind":"cow"}', "{}"]),
        ({"not": {"type": ["string", "object"]}}, ["1", "null", "[]"], ['"a"', "{}"]),
        ({"type": "string", "not": {"enum": ["a", "ab"]}}, ['""', '"b"', '"abc"', '"aa"'], ['"a"', '"ab"']),
        ({"type": "object", "not": {"required": ["a"]}}, ["{}", '{"b":1}'], ['{"a":1}']),
        ({"if": {"type": "string"}, "then": {"const": "a"}, "else": {"type": "null"}}, ['"a"', "null"], ['"b"', "1"]),
        (
            {"type": "object", "properties": {"k": True, "v": True}, "if": {"properties": {"k": {"const": 1}}, "required": ["k"]}, "then": {"required": ["v"]}},
            ['{"k":1,"v":0}', '{"k":2}', "{}"],
            ['{"k":1}'],
        ),
        # References.
        (TREE, ['{"v":1}', '{"v":1,"next":{"v":2}}'], ['{"v":1,"next":{}}', '{"next":{"v":1}}']),
        ({"items": {"$ref": "#x"}, "type": "array", "$defs": {"a": {"$anchor": "x", "type": "null"}}}, ["[null]"], ["[1]"]),
        ({"$id": "http://x/a", "$ref": "b", "$defs": {"b": {"$id": "b", "type": "null"}}}, ["null"], ["1"]),
        ({"$ref": "#/$defs/a~1b%25", "$defs": {"a/b%": {"type": "null"}}}, ["null"], ["1"]),
        ({"type": "array", "items": {"$dynamicRef": "#n"}, "$defs": {"n": {"$dynamicAnchor": "n", "type": "null"}}}, ["[null]"], ["[1]"]),
        # What is left over.
        (
            {"type": "object", "allOf": [{"properties": {"a": True}}], "properties": {"b": True}, "unevaluatedProperties": False},
            ['{"b":1,"a":1}', "{}"],
            ['{"c":1}'],
        ),
        (
            {"type": "object", "anyOf": [{"properties": {"a": {"const": 1}}, "required": ["a"]}, {"properties": {"b": True}}], "unevaluatedProperties": False},
            ['{"a":1}', '{"b":1}', '{"a":1,"b":1}'],
            ['{"c":1}', '{"a":2}'],
        ),
        ({"type": "array", "prefixItems": [True], "unevaluatedItems": {"type": "null"}}, ["[1,null]"], ["[1,1]"]),
        # Keywords that say nothing.
        ({"type": "null", "x-guidance": {"lenient": True}, "title": "t", "default": 1, "minLength": 4, "$comment": ""}, ["null"], ["1"]),
        ({"type": "null", "then": False, "else": False, "minContains": 3}, ["null"], []),
        (True, ["1", "{}"], ["x"]),
    ],
)  # fmt: skip
def test_a_schema_allows_what_it_says(schema: Any, right: list[str], wrong: list[str]) -> None:
    start = matcher(json_schema=schema)
    assert [text for text in right if not accepts(start, text)] == []
    assert [text for text in wrong if accepts(start, text)] == []


UNSUPPORTED = [
    ({"type": "array", "contains": {"const": 1}}, " at /contains: `contains` is not supported; describe every item with `items`"),
    ({"properties": {"a/b": {"uniqueItems": True}}}, " at /properties/a~1b/uniqueItems: `uniqueItems` is not supported"),
    ({"items": {"format": "hostname"}}, " at /items/format: the format hostname is not supported"),
    ({"anyOf": [{"pattern": "(?=a)"}]}, " at /anyOf/0/pattern: the pattern is wrong at character 1: look-around and inline flags are not supported"),
    ({"patternProperties": {"[": {}}}, " at /patternProperties/[: the pattern is wrong at character 1: this class is not closed"),
    ({"not": {"type": "integer"}}, " at /not/type: `integer` cannot be negated"),
    ({"not": {"pattern": "a"}}, " at /not/pattern: `pattern` cannot be negated"),
    (
        {"oneOf": [{"pattern": "a"}, {"pattern": "b"}]},
        " at /oneOf: its parts must exclude each other or be negated (/oneOf/1/pattern: `pattern` cannot be negated); "
        "use `anyOf`",
    ),
    ({"propertyNames": {"pattern": "a", "maxLength": 3}}, " at /propertyNames: only one pattern, length or list of names is supported"),
    ({"minProperties": 2}, " at /minProperties: at most one key more than `required` lists is supported"),
    ({"$ref": "http://x/y"}, " at /$ref: http://x/y is outside this schema; references are not fetched"),
    ({"items": {"$ref": "#/$defs/no"}}, " at /items/$ref: there is no #/$defs/no in this schema"),
    ({"maximum": 2**64}, " at /maximum: 18446744073709551616 has too many digits"),
    ({"multipleOf": 0}, " at /multipleOf: must be more than 0"),
    ({"maxItems": 1_000_000}, " at /maxItems: 1,000,000 exceeds the limit of 1,000"),
    ({"maxLength": -1}, " at /maxLength: must be a whole number, 0 or more"),
    ({"type": "text"}, " at /type: unknown type 'text'"),
    ({"enum": []}, " at /enum: must be a list that is not empty"),
    ({"required": "a"}, " at /required: must be a list of strings"),
    ({"properties": {"a": 1}}, " at /properties/a: must be an object, true or false"),
    ({"properties": []}, " at /properties: must be an object of schemas"),
    ({"$schema": "http://x/dialect"}, " at /$schema: unknown dialect http://x/dialect"),
]  # fmt: skip
WRONG = [
    ({"const": "\ud800"}, " at /const: a lone surrogate is not a character"),
    (False, ": it allows nothing"),
    ({"not": {}}, ": it allows nothing"),
    (
        {"patternProperties": {"a": {"const": 1}, "b": {"const": 2}}, "type": "object"},
        ": one key can match two of its `patternProperties`, which is not supported",
    ),
    ({"type": "string", "minLength": 3, "maxLength": 2}, ": it allows nothing"),
    (
        {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3, "maximum": 2}}, "required": ["n"]},
        " at /properties/n: it allows nothing",
    ),
]  # fmt: skip


REFUSED = [*((schema, f"{message}; --schema-lenient ignores it") for schema, message in UNSUPPORTED), *WRONG]


@pytest.mark.parametrize(("schema", "message"), REFUSED, ids=[json.dumps(schema)[:40] for schema, _ in REFUSED])
def test_an_unsupported_keyword_is_refused_with_its_place(schema: Any, message: str) -> None:
    with pytest.raises(SamplingError) as error:
        matcher(json_schema=schema)
    assert str(error.value) == f"the JSON schema cannot be used{message}"


def test_a_lenient_schema_ignores_unsupported_keywords_with_a_notice() -> None:
    schema = {"type": "array", "items": {"type": "string", "format": "hostname"}, "uniqueItems": True, "maxItems": 2}
    start = matcher(json_schema=schema, schema_lenient=True)
    assert accepts(start, '["a","a"]')
    assert not accepts(start, '["a",1]')
    assert not accepts(start, '["a","b","c"]')
    assert notices(json_schema=json.dumps(schema), schema_lenient=True) == (
        "ignored in the JSON schema: /items/format (the format hostname is not supported); "
        "/uniqueItems (`uniqueItems` is not supported)",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "the JSON schema is not JSON: line 1, column 2: Expecting property name enclosed in double quotes"),
        ('{"a":\n x}', "the JSON schema is not JSON: line 2, column 2: Expecting value"),
    ],
)
def test_what_is_not_json_is_reported_with_its_place(text: str, message: str) -> None:
    with pytest.raises(SamplingError) as error:
        matcher(json_schema=text)
    assert str(error.value) == message
