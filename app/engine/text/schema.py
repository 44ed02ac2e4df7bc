"""Makes a JSON Schema ready for the bindings' converter, and finds the place in it that the converter cannot turn.

The converter knows neither `true` nor `{}` below the root, nor a root that refers to its own definitions where these
refer to each other; and it never says where it stumbled.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeGuard

_ANYTHING = {"type": ["object", "array", "string", "number", "boolean", "null"]}
_TABLES = ("properties", "$defs", "definitions")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems", "items")
_ONES = ("items", "additionalProperties")
_COUNTS = ("minItems", "maxItems", "minLength", "maxLength")
_WITHOUT_EFFECT = frozenset((
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minProperties", "maxProperties",
    "uniqueItems", "contains", "not", "if", "then", "else", "patternProperties", "propertyNames", "dependentRequired",
    "dependentSchemas", "unevaluatedProperties", "unevaluatedItems",
))  # fmt: skip
"""Keywords that the converter passes over."""
_FORMAT = re.compile(r"date|time|date-time|uuid[1-5]?")
_MOST_TOLD = 5
_IN_BRACES = re.compile(r"(?<=[{,])(\d{1,20})(?=[},])")
_MOST = 10_000
"""The converter writes each repetition out, however many there are."""
_MOST_PLACES = 1_000

Json = Any


def prepared(schema: Json) -> Json:
    """`schema` as the converter knows it: what allows anything, `true` and `{}`, is spelt out; changed in place."""
    if _is_table(schema) and "$ref" in schema and "anyOf" not in schema:
        schema["anyOf"] = [{"$ref": schema.pop("$ref")}]
    for _, holder, key in _below(schema):
        # `additionalProperties = true` is known, and is what it means where it is left out.
        if key != "additionalProperties" and (holder[key] is True or holder[key] == {}):
            holder[key] = _ANYTHING
    return schema


def too_many(schema: Json) -> str:
    """Where a schema asks for more repetitions than can be written out; empty where it does not."""
    for pointer, part in [("", schema), *((pointer, holder[key]) for pointer, holder, key in _below(schema))]:
        table: dict[str, Json] = part if _is_table(part) else {}
        counts = [(name, table.get(name)) for name in _COUNTS]
        counts += [("pattern", int(count)) for count in _IN_BRACES.findall(str(table.get("pattern", "")))]
        for name, count in counts:
            if isinstance(count, int | float) and count > _MOST:
                return f"at {pointer}/{name}: {count:,} is more than {_MOST:,}"
    return ""


def schema_notice(text: str | None) -> str:
    """What is to be told of a schema that can be used: the keywords that have no effect, with their places.

    Empty where there are none, and for text that is no schema: what is wrong with it is told elsewhere.
    """
    try:
        places = _without_effect(json.loads(text or "{}"))
    except (ValueError, RecursionError):
        return ""
    return f"the grammar cannot express this part of the JSON schema, which has no effect: {places}" if places else ""


def _without_effect(schema: Json) -> str:
    found = [
        f"{pointer}/{name}"
        for pointer, part in [("", schema), *((pointer, holder[key]) for pointer, holder, key in _below(schema))]
        if _is_table(part)
        for name in _passed_over(part)
    ]
    more = f" and {len(found) - _MOST_TOLD} more" if len(found) > _MOST_TOLD else ""
    return ", ".join(found[:_MOST_TOLD]) + more


def _passed_over(part: dict[str, Json]) -> Iterator[str]:
    yield from (name for name in part if name in _WITHOUT_EFFECT)
    if isinstance(part.get("format"), str) and not _FORMAT.fullmatch(part["format"]):
        yield "format"
    names: Json = part.get("required")
    properties: Json = part.get("properties", {})
    if isinstance(names, list) and _is_table(properties) and any(name not in properties for name in names):  # pyright: ignore[reportUnknownVariableType]  (JSON)
        yield "required"


def place_of(schema: Json, error: Exception, convert: Callable[[str], object]) -> str:
    """The JSON pointer of the innermost part that `convert` fails for in the same way; empty for the root."""
    found = ""
    for n, (pointer, holder, key) in enumerate(_below(schema)):
        if n == _MOST_PLACES:
            break
        try:
            convert(json.dumps(holder[key]))
        except Exception as its:
            if (type(its), str(its)) == (type(error), str(error)) and pointer.startswith(found):
                found = pointer
    return found


def _below(schema: Json) -> Iterator[tuple[str, Json, str | int]]:
    """Every schema inside one, as what holds it under which key, with its pointer; the outer ones first."""
    todo: list[tuple[str, Json]] = [("", schema)]
    while todo:
        at, part = todo.pop()
        for path, holder, key in _inside(part) if _is_table(part) else ():
            pointer = f"{at}/{path}"
            yield pointer, holder, key
            todo.append((pointer, holder[key]))


def _is_table(part: Json) -> TypeGuard[dict[str, Json]]:
    return isinstance(part, dict)


def _inside(part: dict[str, Json]) -> Iterator[tuple[str, Json, str | int]]:
    for name in _TABLES:
        if isinstance(part.get(name), dict):
            for key in part[name]:
                yield f"{name}/{key.replace('~', '~0').replace('/', '~1')}", part[name], key
    for name in _LISTS:
        if isinstance(part.get(name), list):
            for i in range(len(part[name])):
                yield f"{name}/{i}", part[name], i
    for name in _ONES:
        if isinstance(part.get(name), dict | bool):
            yield name, part, name
