"""Fields of JSON that strangers sent: the value where it has the wanted type, else nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

MAX_COUNT = 2**53
"""Larger whole numbers are no counts, and no floats either."""

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
    return next((value for key in keys if math.isfinite(value := as_float(values.get(key)))), None)


def as_float(value: object) -> float:
    """A number as a float, an infinity if it is too large for one; NaN for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def count(values: JsonTable, *keys: str) -> int | None:
    """The first of `keys` that is a number, as a whole number of 0 to MAX_COUNT."""
    value = number(values, *keys)
    return int(value) if value is not None and 0 <= value <= MAX_COUNT else None
