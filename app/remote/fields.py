"""Fields of JSON that strangers sent: the value where it has the wanted type, else nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

JsonTable = Mapping[str, Any]


def table(values: JsonTable, key: str) -> JsonTable:
    """An object, or an empty one."""
    value = values.get(key)
    return cast("JsonTable", value) if isinstance(value, dict) else {}


def tables(values: JsonTable, key: str) -> list[JsonTable]:
    """The objects of a list."""
    value = values.get(key)
    return (
        [cast("JsonTable", each) for each in cast("list[object]", value) if isinstance(each, dict)]
        if isinstance(value, list)
        else []
    )


def text(values: JsonTable, *keys: str) -> str:
    """The first of `keys` that is a text, or an empty one. Halves of surrogate pairs are joined, or U+FFFD."""
    value = next((value for key in keys if isinstance(value := values.get(key), str)), "")
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def number(values: JsonTable, *keys: str) -> float | None:
    """The first of `keys` that is a finite number."""
    for key in keys:
        value = values.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return value
    return None


def count(values: JsonTable, *keys: str) -> int | None:
    """The first of `keys` that is a number, as a whole number of at least 0."""
    value = number(values, *keys)
    return None if value is None or value < 0 else int(value)
