"""Small schemas that others are made of: conjunctions, alternatives, types, keys that are there or not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app.engine.grammar.resources import Json, is_list

_FEW = 64
TYPES = ("null", "boolean", "number", "string", "array", "object")


def all_of(parts: Iterable[Json]) -> Json:
    """What all of `parts` allow."""
    left = [part for part in parts if part is not True and part != {}]
    if any(part is False for part in left):
        return False
    if not left:
        return True
    if len(left) == 1:
        return left[0]
    first = left[0]
    if "allOf" not in first and "$ref" not in first and "anyOf" not in first:
        return {**first, "allOf": left[1:]}
    return {"allOf": left}


def any_of(parts: Iterable[Json]) -> Json:
    """What one of `parts` allows."""
    left: list[Json] = []
    for part in parts:
        if part is True or part == {}:
            return True
        if part is not False and (len(left) > _FEW or part not in left):
            left.append(part)
    if not left:
        return False
    return left[0] if len(left) == 1 else {"anyOf": left}


def of_type(types: Iterable[str]) -> Json:
    """Values of some types."""
    wanted = set(types)
    left = [name for name in TYPES if name in wanted]
    if len(left) == len(TYPES):
        return True
    return {"type": left[0] if len(left) == 1 else left} if left else False


def without(key: str) -> Json:
    """Objects that do not have a key, and all that is no object."""
    return {"properties": {key: False}}


def having(keys: Sequence[str]) -> Json:
    """Objects that have some keys, and all that is no object."""
    return {"required": list(keys)} if keys else True


def type_of(value: Json) -> str:
    """The JSON type of a value; `number` for every number."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    return "number" if isinstance(value, int | float) else "array" if is_list(value) else "object"
