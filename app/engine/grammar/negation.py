"""Negates schemas, for `not`, `oneOf` and `if`. Some keywords have no negation that llguidance can express."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from app.engine.grammar.keywords import Convert, anchored, count, keys, number
from app.engine.grammar.nodes import (
    TYPES,
    Json,
    Resources,
    SchemaError,
    SchemaPart,
    SchemaPlace,
    all_of,
    any_of,
    is_list,
    is_table,
    json_type,
    with_keys,
    with_types,
    without_key,
)
from app.engine.grammar.pattern import literal

_DEEPEST = 24
_LOUD = frozenset((
    "format", "pattern", "multipleOf", "items", "uniqueItems", "patternProperties", "additionalProperties",
    "propertyNames", "oneOf", "unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "dependencies",
))  # fmt: skip
"""Keywords that other keywords cannot express the negation of."""


class Negation:
    """Negates the schemas of one document."""

    def __init__(self, convert: Convert, resources: Resources) -> None:
        self._convert = convert
        self._resources = resources
        self._depth = 0

    def negate(self, node: Json, place: SchemaPlace) -> Json:
        """A schema for exactly the values that `node` refuses. Raises SchemaError if it cannot be expressed."""
        if isinstance(node, bool):
            return not node
        if not is_table(node):
            raise SchemaError(place.pointer, "must be an object, true or false")
        if self._depth > _DEEPEST:
            raise SchemaError(place.pointer, "this is nested too deeply to be negated")
        place = place.rebased(node)
        self._resources.count_step(place)
        self._depth += 1
        try:
            return any_of(self._keyword(name, node, place) for name in node)
        finally:
            self._depth -= 1

    def _keyword(self, name: str, node: dict[str, Json], place: SchemaPlace) -> Json:  # noqa: PLR0911, PLR0912 -- one a keyword
        value, at = node[name], place.child(name)
        if name in _LOUD and value is not True:
            raise SchemaError(at.pointer, f"`{name}` cannot be negated")
        match name:
            case "type":
                return _not_types(value, at)
            case "const":
                return self._not_values([value], at)
            case "enum":
                return self._not_values(value if is_list(value) else [value], at)
            case "required":
                return {"type": "object", **_only(any_of(without_key(key) for key in keys(value, at)))}
            case "properties":
                return any_of(
                    _with_property(key, self.negate(each, at.child(key)))
                    for key, each in (value.items() if is_table(value) else ())
                )
            case "prefixItems":
                items = value if is_list(value) else []
                return any_of(_with_item(i, self.negate(each, at.child(i))) for i, each in enumerate(items))
            case "contains":
                if "minContains" in node or "maxContains" in node:
                    raise SchemaError(at.pointer, "`contains` with counts cannot be negated")
                return {"type": "array", "items": self.negate(value, at)}
            case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
                return {"type": "number", _ACROSS[name]: number(value, at)}
            case "minLength" | "minItems" | "minProperties":
                n = count(value, at)
                return {"type": _COUNTED[name[3:]], f"max{name[3:]}": n - 1} if n else False
            case "maxLength" | "maxItems" | "maxProperties":
                n = count(value, at)
                if name == "maxProperties" and n:
                    raise SchemaError(at.pointer, "a limit above 0 cannot be negated")
                return {"type": _COUNTED[name[3:]], f"min{name[3:]}": n + 1}
            case _:
                return self._applicator(name, node, place)

    def _applicator(self, name: str, node: dict[str, Json], place: SchemaPlace) -> Json:  # noqa: PLR0911 -- one a keyword
        value, at = node[name], place.child(name)
        match name:
            case "allOf":
                return any_of(self.negate(part.node, part.place) for part in _parts(value, at))
            case "anyOf":
                return all_of(self.negate(part.node, part.place) for part in _parts(value, at))
            case "not":
                return self._convert(value, at)
            case "$ref":
                target = self._resources.find(value, place)
                return self.negate(target.node, target.place)
            case "if":
                then, otherwise = node.get("then", True), node.get("else", True)
                return any_of(
                    [
                        all_of([self._convert(value, at), self.negate(then, place.child("then"))]),
                        all_of([self.negate(value, at), self.negate(otherwise, place.child("else"))])
                        if otherwise is not True
                        else False,
                    ]
                )
            case "dependentRequired" | "dependentSchemas":
                return any_of(
                    all_of([_with_property(key, True), self._needs_not(needs, at.child(key))])
                    for key, needs in (value.items() if is_table(value) else ())
                )
            case _:
                return False  # the keyword allows everything

    def _needs_not(self, needs: Json, place: SchemaPlace) -> Json:
        if is_list(needs):
            return any_of(without_key(key) for key in keys(needs, place))
        return self.negate(needs, place)

    def _not_values(self, values: list[Json], place: SchemaPlace) -> Json:
        types = {json_type(value) for value in values}
        if types & {"array", "object"}:
            raise SchemaError(place.pointer, "a list or an object cannot be negated")
        ways = [with_types(name for name in TYPES if name not in types)]
        if "boolean" in types:
            ways += [{"const": other} for other in (True, False) if not any(value is other for value in values)]
        if "string" in types:
            ways.append({"type": "string", "pattern": anchored(_other_than([v for v in values if isinstance(v, str)]))})
        if "number" in types:
            numbers = sorted(
                {number(v, place) for v in values if isinstance(v, int | float) and not isinstance(v, bool)}
            )
            edges = [None, *numbers, None]
            for low, high in pairwise(edges):
                limits = {"exclusiveMinimum": low, "exclusiveMaximum": high}
                ways.append({"type": "number"} | {key: limit for key, limit in limits.items() if limit is not None})
        return any_of(ways)


_ACROSS = {
    "minimum": "exclusiveMaximum",
    "maximum": "exclusiveMinimum",
    "exclusiveMinimum": "maximum",
    "exclusiveMaximum": "minimum",
}
_COUNTED = {"Length": "string", "Items": "array", "Properties": "object"}


def _not_types(value: Json, place: SchemaPlace) -> Json:
    names: list[Json] = value if is_list(value) else [value]
    if "integer" in names and "number" not in names:
        raise SchemaError(place.pointer, "`integer` cannot be negated")
    return with_types(name for name in TYPES if name not in names)


def _with_property(key: str, clean: Json) -> Json:
    """A schema for objects that have `key` with a value that matches `clean`."""
    return False if clean is False else {"type": "object", "properties": {key: clean}, **with_keys([key])}


def _with_item(index: int, clean: Json) -> Json:
    if clean is False:
        return False
    return {"type": "array", "minItems": index + 1, "prefixItems": [*[True] * index, clean]}


def _only(clean: Json) -> dict[str, Json]:
    return clean if is_table(clean) else {"allOf": [clean]}


def _parts(value: Json, place: SchemaPlace) -> Iterable[SchemaPart]:
    for i, each in enumerate(value if is_list(value) else []):
        yield SchemaPart(each, place.child(i))


def _other_than(texts: list[str], depth: int = 0) -> str:
    """A regex for all texts except `texts`: it branches where a text leaves their common beginnings."""
    heads: dict[str, list[str]] = {}
    for text in texts:
        if text:
            heads.setdefault(text[0], []).append(text[1:])
    ways = [f"{literal(head)}(?:{_other_than(rest, depth + 1)})" for head, rest in heads.items()]
    if "" not in texts:
        ways.append("")
    others = "".join(map(literal, heads))
    ways.append(f"[^{others}](?s:.)*" if others else "(?s:.)+")
    return "|".join(ways)
