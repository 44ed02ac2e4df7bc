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
