"""Values of the wire as JSON objects with named keys, and back. Knows structs by their definition, no particular one.

On the wire a struct is an array, which is short; in a file that people read and `jq` filters it is an object. A number
that JSON cannot carry is minus infinity here (the logarithm of 0) and becomes null. A key that is missing takes its
field's default, so that a file of an older version can be read; a key that nobody knows is passed over.
"""

from __future__ import annotations

import math
import re
from functools import cache
from typing import Any, TypeVar, cast

import msgspec
from msgspec import Struct, inspect

S = TypeVar("S", bound=Struct)


def to_named(value: object) -> Any:  # noqa: ANN401 -- whatever JSON can carry
    """Returns `value` as dicts, lists and plain values; every field of a struct by its name."""
    match value:
        case Struct():
            return {name: to_named(getattr(value, name)) for name in value.__struct_fields__}
        case list() | tuple():
            return [to_named(item) for item in cast("tuple[object, ...]", value)]
        case dict():
            return {key: to_named(item) for key, item in cast("dict[str, object]", value).items()}
        case float():
            return value if math.isfinite(value) else None
        case _:
            return value


def from_named(data: object, kind: type[S]) -> S:
    """Builds a struct of `kind`, strictly typed. Raises ValueError that names what is missing or wrong."""
    try:
        return msgspec.convert(_as_wire(data, _type_of(kind)), kind)
    except msgspec.ValidationError as error:
        raise ValueError(_with_name(str(error), kind)) from None


@cache
def _type_of(kind: type[Struct]) -> inspect.Type:
    return inspect.type_info(kind)


def _with_name(message: str, kind: type[Struct]) -> str:
    """Names the field that msgspec tells the number of."""
    names = ("", *kind.__struct_fields__) if kind.__struct_config__.tag else kind.__struct_fields__
    return re.sub(r"`\$\[(\d+)\]", lambda match: f"`{names[int(match[1])]}", message, count=1)


def _as_wire(data: object, kind: inspect.Type) -> object:
    """Puts the values in the order and the shape that `msgspec.convert` expects of `kind`."""
    match kind:
        case inspect.StructType() if isinstance(data, dict):
            return _struct(cast("dict[str, object]", data), kind)
        case inspect.VarTupleType() if isinstance(data, list):
            return [_as_wire(item, kind.item_type) for item in cast("list[object]", data)]
        case inspect.UnionType() if data is not None:
            return _as_wire(data, next((t for t in kind.types if isinstance(t, inspect.StructType)), kind.types[0]))
        case inspect.FloatType() if data is None:
            return -math.inf
        case _:
            return data


def _struct(data: dict[str, object], kind: inspect.StructType) -> object:
    values: dict[str, object] = {}
    for field in kind.fields:
        if field.name in data:
            values[field.name] = _as_wire(data[field.name], field.type)
        elif field.required:
            raise ValueError(f"`{field.name}` is missing")
    if not kind.array_like:
        return values
    # An array has no holes: what is missing is filled up with defaults.
    fields = [
        values[field.name] if field.name in values else msgspec.to_builtins(_default(field)) for field in kind.fields
    ]
    return fields if kind.tag is None else [kind.tag, *fields]


def _default(field: inspect.Field) -> object:
    return field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
