"""JSON Schemas of the kinds that people send: those that converters are tested with, and those that pydantic makes."""

# ruff: noqa: E501 -- one schema a line

from __future__ import annotations

from typing import Any

_STRINGS = {"type": "string"}
KINDS: dict[str, Any] = {
    "at least 0": {"type": "integer", "minimum": 0},
    "at least 3": {"type": "integer", "minimum": 3},
    "at least 25": {"type": "integer", "minimum": 25},
    "at most 30": {"type": "integer", "maximum": 30},
    "at least -123": {"type": "integer", "minimum": -123},
    "at most -5": {"type": "integer", "maximum": -5},
    "0 to 23": {"type": "integer", "minimum": 0, "maximum": 23},
    "15 to 300": {"type": "integer", "minimum": 15, "maximum": 300},
    "-123 to 42": {"type": "integer", "minimum": -123, "maximum": 42},
    "more than 0, less than 1": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "multiples": {"type": "integer", "multipleOf": 15, "minimum": -60, "maximum": 600},
    "anything": {},
    "any object": {"type": "object"},
    "formats": {"type": "array", "prefixItems": [{"type": "string", "format": f} for f in ("date", "uuid", "time", "date-time")], "minItems": 4, "items": False},
    "more formats": {"type": "array", "items": {"anyOf": [{"type": "string", "format": f} for f in ("email", "ipv4", "ipv6", "uri", "duration")]}},
    "text": _STRINGS,
    "text of 3 and more": {"type": "string", "minLength": 3},
    "text of 1 to 4": {"type": "string", "minLength": 1, "maxLength": 4},
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "const text": {"const": 'say "foo"\n\\ bar'},
    "const number": {"const": 123},
    "const object": {"const": {"a": [1, None, {"b": False}]}},
    "enum": {"enum": ["red", "amber", "green", None, 42, ["foo"], 'q"q', "back\\slash"]},
    "list of texts": {"type": "array", "items": _STRINGS},
    "list or null": {"type": ["array", "null"], "items": _STRINGS},
    "pair": {"type": "array", "prefixItems": [_STRINGS, {"type": "number"}], "items": False, "minItems": 2},
    "list of anything": {"type": "array", "items": {}},
    "no more than 2": {"type": "array", "items": {"type": "boolean"}, "maxItems": 2},
    "2 to 4": {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 4},
    "numbers of some size": {"type": "array", "items": {"type": "integer", "minimum": -12, "maximum": 207}, "minItems": 3, "maxItems": 5},
    "simple pattern": {"type": "string", "pattern": "^abc?d*efg+(hij)?kl$"},
    "escaped pattern": {"type": "string", "pattern": "^\\[\\]\\{\\}\\(\\)\\|\\+\\*\\?$"},
    "quotes in a pattern": {"type": "string", "pattern": '^"$'},
    "phone": {"type": "string", "pattern": "^(\\([0-9]{1,3}\\))?[0-9]{3}-[0-9]{4} a{3,5}nd...$"},
    "pattern inside": {"type": "string", "pattern": "^x?[0-9]+ apples?$"},
    "alternatives": {"type": "string", "pattern": "^A.?$|^.?B$"},
    "required": {"type": "object", "properties": {"b": _STRINGS, "a": {}, "c": {"type": "null"}}, "required": ["b", "a"], "additionalProperties": False},
    "one optional": {"type": "object", "properties": {"a": _STRINGS}, "additionalProperties": False},
    "several optional": {"type": "object", "properties": {k: _STRINGS for k in "abc"}, "additionalProperties": False},
    "required and optional": {"type": "object", "properties": {k: _STRINGS for k in "bacd"}, "required": ["a", "b"], "additionalProperties": False},
    "others of a type": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "number"}}},
    "others beside required": {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"], "additionalProperties": _STRINGS},
    "others beside optional": {"type": "object", "properties": {"a": {"type": "number"}}, "additionalProperties": {"type": "number"}},
    "anything besides": {"type": "object", "properties": {"and": {"type": "number"}, "also": {"type": "number"}}, "required": ["and"]},
    "reference": {"$ref": "#/definitions/foo", "definitions": {"foo": {"type": "object", "properties": {"a": _STRINGS}, "required": ["a"], "additionalProperties": False}}},
    "one of two": {"anyOf": [{"$ref": "#/$defs/foo"}, {"$ref": "#/$defs/bar"}], "$defs": {"foo": {"properties": {"a": {"type": "number"}}, "type": "object"}, "bar": {"properties": {"b": {"type": "number"}}, "type": "object"}}},
    "all of them": {
        "allOf": [{"$ref": "#/$defs/foo"}, {"$ref": "#/$defs/bar"}, {"anyOf": [{"$ref": "#/$defs/baz"}, {"required": ["a"]}]}],
        "$defs": {k: {"type": "object", "properties": {v: {"type": "number"}}, "required": [v]} for k, v in (("foo", "a"), ("bar", "b"), ("baz", "c"))},
    },
    "a common enum": {"allOf": [{"type": "string", "enum": ["a", "b", "c"]}, {"enum": ["b", "c", "d"]}]},
    "names that clash": {"type": "object", "properties": {"number": {"type": "object", "properties": {"number": {"type": "object", "properties": {"root": {"type": "number"}}, "required": ["root"]}}, "required": ["number"]}}, "required": ["number"]},
    "keys with quotes": {"type": "object", "properties": {'a "b"': {"type": "null"}, "c\\d\n": {"type": "null"}}, "required": ['a "b"', "c\\d\n"], "additionalProperties": False},
    "condition": {"type": "object", "properties": {"kind": {"enum": ["a", "b"]}, "n": {"type": "integer"}}, "required": ["kind"], "if": {"properties": {"kind": {"const": "a"}}}, "then": {"required": ["n"]}, "additionalProperties": False},
    "no text": {"not": {"type": ["string", "object", "array"]}},
    "recursion": {"$ref": "#/$defs/n", "$defs": {"n": {"type": "object", "properties": {"v": {"type": "integer"}, "l": {"$ref": "#/$defs/n"}, "r": {"$ref": "#/$defs/n"}}, "required": ["v"], "additionalProperties": False}}},
}  # fmt: skip
"""By name."""

_NULL = {"type": "null"}
_ADDRESS = {"properties": {"street": {"title": "Street", "type": "string"}, "zip": {"pattern": "^\\d{5}$", "title": "Zip", "type": "string"}}, "required": ["street", "zip"], "title": "Address", "type": "object"}  # fmt: skip
PYDANTIC: dict[str, Any] = {
    "fields": {"properties": {"name": {"title": "Name", "type": "string"}, "age": {"title": "Age", "type": "integer"}, "score": {"default": 0.5, "title": "Score", "type": "number"}, "ok": {"type": "boolean"}}, "required": ["name", "age", "ok"], "title": "Fields", "type": "object"},
    "nested": {"$defs": {"Address": _ADDRESS}, "properties": {"home": {"$ref": "#/$defs/Address"}, "others": {"items": {"$ref": "#/$defs/Address"}, "type": "array"}}, "required": ["home"], "title": "Nested", "type": "object"},
    "optional": {"properties": {"nick": {"anyOf": [{"type": "string"}, _NULL], "default": None}, "n": {"anyOf": [{"type": "integer"}, {"type": "string"}, _NULL]}}, "required": ["n"], "title": "Optional", "type": "object"},
    "limits": {"properties": {"n": {"exclusiveMinimum": 0, "maximum": 10, "type": "integer"}, "x": {"minimum": -1.5, "exclusiveMaximum": 2.25, "type": "number"}, "s": {"maxLength": 8, "minLength": 2, "type": "string"}, "l": {"items": {"type": "integer"}, "maxItems": 3, "minItems": 1, "type": "array"}, "m": {"multipleOf": 3, "type": "integer"}}, "required": ["n", "x", "s", "l", "m"], "title": "Limits", "type": "object"},
    "enums": {"$defs": {"Colour": {"enum": ["red", "green"], "title": "Colour", "type": "string"}}, "properties": {"colour": {"$ref": "#/$defs/Colour"}, "kind": {"const": "x", "type": "string"}, "level": {"enum": [1, 2, 3], "type": "integer"}}, "required": ["colour", "kind", "level"], "additionalProperties": False, "title": "Enums", "type": "object"},
    "union": {
        "$defs": {name: {"properties": {"pet": {"const": name.lower(), "type": "string"}, "name": {"type": "string"}}, "required": ["pet", "name"], "title": name, "type": "object"} for name in ("Cat", "Dog")},
        "properties": {"pet": {"discriminator": {"mapping": {"cat": "#/$defs/Cat", "dog": "#/$defs/Dog"}, "propertyName": "pet"}, "oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]}},
        "required": ["pet"],
        "title": "Union",
        "type": "object",
    },
    "maps": {"properties": {"counts": {"additionalProperties": {"type": "integer"}, "type": "object"}, "by": {"additionalProperties": {"items": {"type": "string"}, "type": "array"}, "propertyNames": {"pattern": "^[a-z]+$"}, "type": "object"}}, "required": ["counts", "by"], "title": "Maps", "type": "object"},
    "formats": {"properties": {"at": {"format": "date-time", "type": "string"}, "day": {"format": "date", "type": "string"}, "id": {"format": "uuid", "type": "string"}, "mail": {"format": "email", "type": "string"}, "link": {"format": "uri", "maxLength": 2083, "minLength": 1, "type": "string"}, "secret": {"format": "password", "type": "string", "writeOnly": True}, "took": {"format": "duration", "type": "string"}}, "required": ["at", "day", "id", "mail", "link", "secret", "took"], "title": "Formats", "type": "object"},
    "tree": {"$defs": {"Node": {"properties": {"value": {"type": "integer"}, "children": {"default": [], "items": {"$ref": "#/$defs/Node"}, "type": "array"}}, "required": ["value"], "title": "Node", "type": "object"}}, "$ref": "#/$defs/Node"},
    "sets": {"properties": {"tags": {"items": {"type": "string"}, "type": "array", "uniqueItems": True}, "pair": {"maxItems": 2, "minItems": 2, "prefixItems": [{"type": "integer"}, {"type": "string"}], "type": "array"}}, "required": ["tags", "pair"], "title": "Sets", "type": "object"},
}  # fmt: skip
"""As `model_json_schema` of pydantic 2 writes them. The last one has a set, which is not supported."""

PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 40},
        "age": {"type": "integer", "minimum": 1, "maximum": 120},
        "email": {"type": "string", "format": "email", "maxLength": 40},
        "height_m": {"type": "number", "minimum": 0.4, "maximum": 2.5},
        "eyes": {"enum": ["blue", "brown", "green", "grey"]},
        "hobbies": {"type": "array", "items": {"type": "string", "maxLength": 20}, "minItems": 1, "maxItems": 3},
    },
    "required": ["name", "age", "email", "height_m", "eyes", "hobbies"],
    "additionalProperties": False,
}
POEM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "minLength": 1, "maxLength": 40},
        "mood": {"enum": ["happy", "sad", "calm"]},
        "lines": {
            "type": "array",
            "items": {"type": "string", "minLength": 1, "maxLength": 60},
            "minItems": 3,
            "maxItems": 4,
        },
    },
    "required": ["title", "mood", "lines"],
    "additionalProperties": False,
}
"""What small models are asked for in the benchmark and, twice each, in the suite."""
