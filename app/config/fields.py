"""Checks the keys of one table against a msgspec struct, field by field, to report every mistake at once.

(msgspec itself stops at the first.) The types and `Meta` limits of the struct are the only schema.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, Literal, TypeGuard, Union, cast, get_args, get_origin

import msgspec
from msgspec import Struct
from msgspec.structs import FieldInfo

from app.config.document import Document
from app.config.locator import KeyPath

MAX_INT = 2**32 - 1
"""The largest integer of a setting; the engine cannot take larger ones."""

_TYPE_NAMES = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
}
_IN_ITEM = re.compile(r" - at `\$\[(\d+|\.\.\.)\](.*)`$")
_LIMIT = re.compile(r"Expected `(.+?)` ([<>]=?) (.+)$")
_WRONG_TYPE = re.compile(r"Expected `(.+?)`(?: of length .+)?, got `(.+?)`$")


@cache
def _fields(struct: type[Struct]) -> dict[str, FieldInfo]:
    return {field.name: field for field in msgspec.structs.fields(struct)}


def field_names(struct: type[Struct]) -> list[str]:
    """The keys that a table for `struct` may hold."""
    return list(_fields(struct))


def read_fields(
    document: Document, at: KeyPath, table: Mapping[str, Any], struct: type[Struct], also: Iterable[str] = ()
) -> dict[str, Any]:
    """Returns the valid values of `table` by field name; reports every other key to `document`.

    Args:
        document: the file; receives the problems.
        at: path of `table` in it.
        table: the keys and values from TOML.
        struct: whose fields are valid keys.
        also: further valid keys, which the caller reads.
    """
    fields = _fields(struct)
    others = set(also)
    good: dict[str, Any] = {}
    for key, value in table.items():
        if key in others:
            continue
        if key not in fields:
            document.report((*at, key), f"unknown key `{key}`", suggest_from=[*fields, *others])
            continue
        kind = fields[key].type
        entries = _entry_type(kind)
        if entries is not None and _is_table(value):
            good[key] = _read_entries(document, (*at, key), value, entries)
            continue
        try:
            good[key] = _convert(value, kind)
        except msgspec.ValidationError as error:
            _report(document, (*at, key), str(error), value, kind)
    return good


def subtable(document: Document, at: KeyPath, table: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Returns the table under `key`, or an empty one; reports a value that is not a table."""
    value = table.get(key, {})
    if isinstance(value, dict):
        return value  # pyright: ignore[reportUnknownVariableType]  (TOML tables have text keys)
    document.report((*at, key), f"`{key}` must be a table, as in `[{'.'.join(map(str, (*at, key)))}]`")
    return {}


def _entry_type(kind: object) -> object | None:
    """The type of a table's values, also for an optional table; None for other types."""
    tables = [part for part in (kind, *get_args(kind)) if get_origin(part) is dict]
    return get_args(tables[0])[1] if tables else None


def _is_table(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _read_entries(document: Document, at: KeyPath, table: Mapping[str, Any], kind: object) -> dict[str, Any]:
    """The valid values of a table with free keys."""
    good: dict[str, Any] = {}
    for key, value in table.items():
        try:
            good[key] = _convert(value, kind)
        except msgspec.ValidationError as error:
            _report(document, (*at, key), str(error), value, kind)
    return good


def _report(document: Document, at: KeyPath, error: str, value: object, kind: object) -> None:
    choices = _choices(kind)
    message = f"`{at[-1]}` {_explain(error, value, choices)}"
    if (item := _IN_ITEM.search(error)) and item[1].isdigit() and isinstance(value, list | tuple):
        value = cast("Sequence[object]", value)[int(item[1])]
    suggest = choices if isinstance(value, str) and error.startswith("Invalid enum value") else None
    document.report(at, message, suggest_from=suggest, name=str(value))


def _convert(value: object, kind: Any) -> object:  # noqa: ANN401 -- a type, as msgspec takes it
    if isinstance(value, float) and not math.isfinite(value):
        raise msgspec.ValidationError("Not finite")
    if isinstance(value, int) and abs(value) > MAX_INT:
        raise msgspec.ValidationError(f"Expected `int` <= {MAX_INT}")
    return msgspec.convert(value, kind)


def _choices(kind: object) -> list[str]:
    """The values of a Literal or an Enum, also if optional or of a list's items; empty for other types."""
    if get_origin(kind) is Literal:
        return [str(value) for value in get_args(kind)]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [str(member.value) for member in kind]
    if get_origin(kind) in {Union, UnionType, tuple, list}:
        return [choice for part in get_args(kind) for choice in _choices(part)]
    return []


def _explain(error: str, value: object, choices: list[str]) -> str:
    """Rewords msgspec's message in TOML terms."""
    if item := _IN_ITEM.search(error):
        where = f"item {int(item[1]) + 1}" if item[1].isdigit() else "an item"
        return f"has a wrong {where}: it {_explain(error[: item.start()], None, choices)}"
    if error == "Not finite":
        return "must be a finite number"
    if choices and error.startswith("Invalid enum value"):
        return f"must be one of {', '.join(choices)}"
    if limit := _LIMIT.match(error):
        sign = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}[limit[2]]
        return f"must be {sign} {limit[3].removesuffix('.0')}, not {value}"
    if wrong := _WRONG_TYPE.match(error):
        wanted = " or ".join(_TYPE_NAMES.get(name, name) for name in wrong[1].split(" | ") if name != "null")
        return f"must be {wanted}, not {_TYPE_NAMES.get(wrong[2], wrong[2])}"
    return f"is wrong: {error}"
