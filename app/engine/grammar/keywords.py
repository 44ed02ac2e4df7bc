"""The keywords of JSON Schema that stand alone (types, numbers, strings, arrays, objects), with their values checked.

What llguidance would misread is rewritten, or refused with its pointer.
"""

from __future__ import annotations

from collections.abc import Callable

from app.engine.grammar.formats import FORMATS, UNSUPPORTED_FORMATS
from app.engine.grammar.nodes import TYPES, Json, SchemaError, SchemaPlace, all_of, is_list, is_table
from app.engine.grammar.pattern import PatternError, searched

_MOST_ITEMS, _MOST_CHARACTERS, _MOST_DEEP, _MOST_KEYS = 1_000, 50_000, 64, 1_000
_MOST_STATES = 20_000
"""States of the automaton that divides: as many as the digits of the divisor, read as a number."""
_MOST_EXACT = 2**53
_DIGITS = 15

Convert = Callable[[Json, SchemaPlace], Json]
"""Converts a subschema to what llguidance supports. Raises SchemaError."""


def own_keywords(
    node: dict[str, Json], place: SchemaPlace, convert: Convert, refused: Callable[[SchemaError], None]
) -> Json:
    """Converts the keywords of `node` that stand alone; ignores all others.

    `refused` gets the error of an unsupported keyword. If it returns, the keyword is left out.
    """
    clean: dict[str, Json] = {}
    for name, value in node.items():
        reader = _READERS.get(name)
        if reader is None:
            continue
        try:
            clean |= reader(value, place.child(name), node, convert)
        except SchemaError as error:
            refused(error)
    return clean


_KeywordReader = Callable[[Json, SchemaPlace, dict[str, Json], Convert], dict[str, Json]]
"""Converts the value of a keyword to keywords that llguidance supports. Raises SchemaError."""


def _type(value: Json, place: SchemaPlace, _node: dict[str, Json], _convert: Convert) -> dict[str, Json]:
    names: list[Json] = value if is_list(value) else [value]
    for name in names:
        if name not in (*TYPES, "integer"):
            raise SchemaError(place.pointer, f"unknown type {name!r}")
    if not names:
        raise SchemaError(place.pointer, "the list of types is empty")
    return {"type": names[0] if len(names) == 1 else names}


def _enum(value: Json, place: SchemaPlace, _node: dict[str, Json], _convert: Convert) -> dict[str, Json]:
    if not is_list(value) or not value:
        raise SchemaError(place.pointer, "must be a list that is not empty")
    return {"enum": [_constant(each, place.child(i)) for i, each in enumerate(value)]}


def _const(value: Json, place: SchemaPlace, _node: dict[str, Json], _convert: Convert) -> dict[str, Json]:
    return {"const": _constant(value, place)}


def _constant(value: Json, place: SchemaPlace, depth: int = 0) -> Json:
    """A literal value, with whole numbers as integers. Raises SchemaError."""
    if depth > _MOST_DEEP:
        raise SchemaError(place.pointer, f"nested deeper than {_MOST_DEEP}")
    if is_list(value):
        return [_constant(each, place.child(i), depth + 1) for i, each in enumerate(value)]
    if is_table(value):
        return {key: _constant(each, place.child(key), depth + 1) for key, each in value.items()}
    return number(value, place) if isinstance(value, int | float) and not isinstance(value, bool) else value


def number(value: Json, place: SchemaPlace) -> int | float:
    """A number that llguidance represents exactly. Raises SchemaError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SchemaError(place.pointer, "must be a number")
    if isinstance(value, float) and value.is_integer() and abs(value) < _MOST_EXACT:
        return int(value)
    digits = repr(value).lstrip("-").replace(".", "").lstrip("0").partition("e")[0]
    if abs(value) >= _MOST_EXACT or len(digits) > _DIGITS or "e" in repr(value):
        raise SchemaError(place.pointer, f"{value} has too many digits")
    return value


def count(value: Json, place: SchemaPlace, most: int = _MOST_CHARACTERS) -> int:
    """A whole number from 0 to `most`. Raises SchemaError."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise SchemaError(place.pointer, "must be a whole number, 0 or more")
    if value > most:
        raise SchemaError(place.pointer, f"{value:,} exceeds the limit of {most:,}")
    return value


def _number(value: Json, place: SchemaPlace, _node: dict[str, Json], _convert: Convert) -> dict[str, Json]:
    return {_last(place): number(value, place)}


def _exclusive(value: Json, place: SchemaPlace, node: dict[str, Json], _convert: Convert) -> dict[str, Json]:
    name = _last(place)
    if value is False:  # draft 4: a flag that makes `minimum` or `maximum` exclusive
        return {}
    limit = node.get("minimum" if name == "exclusiveMinimum" else "maximum") if value is True else value
    return {} if limit is None else {name: number(limit, place)}


def _multiple(value: Json, place: SchemaPlace, _node: dict[str, Json], _convert: Convert) -> dict[str, Json]:
    found = number(value, place)
    if found <= 0:
        raise SchemaError(place.pointer, "must be more than 0")
    if int(repr(found).replace(".", "")) > _MOST_STATES:
        raise SchemaError(place.pointer, f"{found} has too many digits")
    return {"multipleOf": found}


def _count(value: Json, place: SchemaPlace, _node: dict[str, Json], _convert: Convert) -> dict[str, Json]:
    return {_last(place): count(value, place)}


def _count_items(value: Json, place: SchemaPlace, _node: dict[str, Json], _convert: Convert) -> dict[str, Json]:
    return {_last(place): count(value, place, _MOST_ITEMS)}


def _min_properties(value: Json, place: SchemaPlace, node: dict[str, Json], _convert: Convert) -> dict[str, Json]:
    n, required = count(value, place, _MOST_ITEMS), node.get("required")
    n_required = len(set(map(str, required))) if is_list(required) else 0
    if n > n_required + 1:  # llguidance would count a repeated key twice
        raise SchemaError(place.pointer, "at most one key more than `required` lists is supported")
    return {"minProperties": n}


def _pattern(value: Json, place: SchemaPlace, _node: dict[str, Json], _convert: Convert) -> dict[str, Json]:
    return {"pattern": pattern(value, place)}


def pattern(value: Json, place: SchemaPlace) -> str:
    """An ECMA-262 pattern to search for, as an anchored regex of llguidance. Raises SchemaError."""
    if not isinstance(value, str):
        raise SchemaError(place.pointer, "must be a string")
    try:
        return anchored(searched(value))
    except PatternError as error:
        raise SchemaError(place.pointer, f"the pattern is wrong{error}") from error


def anchored(regex: str) -> str:
    """A pattern that matches exactly what `regex` matches as a whole."""
    return f"^(?:{regex})$"


def _format(value: Json, place: SchemaPlace, node: dict[str, Json], _convert: Convert) -> dict[str, Json]:
    if value in UNSUPPORTED_FORMATS:
        raise SchemaError(place.pointer, f"the format {value} is not supported")
    if not isinstance(value, str) or value not in FORMATS:
        return {}
    regex = anchored(FORMATS[value])
    return {"allOf": [{"pattern": regex}]} if "pattern" in node else {"pattern": regex}


def _table(value: Json, place: SchemaPlace, _node: dict[str, Json], convert: Convert) -> dict[str, Json]:
    if not is_table(value):
        raise SchemaError(place.pointer, "must be an object of schemas")
    if len(value) > _MOST_KEYS:
        raise SchemaError(place.pointer, f"more than {_MOST_KEYS:,} keys")
    return {"properties": {key: convert(each, place.child(key)) for key, each in value.items()}}


def _patterns(value: Json, place: SchemaPlace, _node: dict[str, Json], convert: Convert) -> dict[str, Json]:
    if not is_table(value):
        raise SchemaError(place.pointer, "must be an object of schemas")
    found: dict[str, Json] = {}
    for key, each in value.items():
        regex, clean = pattern(key, place.child(key)), convert(each, place.child(key))
        found[regex] = all_of([found.get(regex, True), clean])
    return {"patternProperties": found}


def _one(value: Json, place: SchemaPlace, _node: dict[str, Json], convert: Convert) -> dict[str, Json]:
    return {_last(place): convert(value, place)}


def _required(value: Json, place: SchemaPlace, _node: dict[str, Json], _convert: Convert) -> dict[str, Json]:
    return {"required": keys(value, place)}


def keys(value: Json, place: SchemaPlace) -> list[str]:
    """A list of distinct keys. Raises SchemaError."""
    if not is_list(value) or not all(isinstance(each, str) for each in value):
        raise SchemaError(place.pointer, "must be a list of strings")
    return list(dict.fromkeys(value))


def _items(value: Json, place: SchemaPlace, node: dict[str, Json], convert: Convert) -> dict[str, Json]:
    if not is_list(value):
        return {"items": convert(value, place)}
    first = [convert(each, place.child(i)) for i, each in enumerate(value)]
    rest = node.get("additionalItems", True)
    further = SchemaPlace(place.pointer.rsplit("/", 1)[0], place.base).child("additionalItems")
    return {"prefixItems": first, "items": convert(rest, further)}


def _first_items(value: Json, place: SchemaPlace, _node: dict[str, Json], convert: Convert) -> dict[str, Json]:
    if not is_list(value):
        raise SchemaError(place.pointer, "must be a list of schemas")
    return {"prefixItems": [convert(each, place.child(i)) for i, each in enumerate(value)]}


def _unique(value: Json, place: SchemaPlace, node: dict[str, Json], _convert: Convert) -> dict[str, Json]:
    if value is not True or node.get("maxItems") in (0, 1):
        return {}
    raise SchemaError(place.pointer, "`uniqueItems` is not supported")


def _last(place: SchemaPlace) -> str:
    return place.pointer.rsplit("/", 1)[1]


_READERS: dict[str, _KeywordReader] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "minimum": _number,
    "maximum": _number,
    "exclusiveMinimum": _exclusive,
    "exclusiveMaximum": _exclusive,
    "multipleOf": _multiple,
    "minLength": _count,
    "maxLength": _count,
    "pattern": _pattern,
    "format": _format,
    "prefixItems": _first_items,
    "items": _items,
    "minItems": _count_items,
    "maxItems": _count_items,
    "uniqueItems": _unique,
    "properties": _table,
    "patternProperties": _patterns,
    "additionalProperties": _one,
    "required": _required,
    "minProperties": _min_properties,
    "maxProperties": _count_items,
}
