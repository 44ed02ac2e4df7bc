"""The parts of a JSON Schema document: where each stands, what a reference means, and small schemas to build others of.

Resolves `$id`, `$anchor` and the JSON pointers of a `$ref` inside the document; refuses what lies outside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard
from urllib.parse import unquote, urldefrag, urljoin

Json = Any
_MOST_STEPS = 100_000
_FEW = 64
TYPES = ("null", "boolean", "number", "string", "array", "object")
_TABLES = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
_ONES = (
    "items", "additionalItems", "unevaluatedItems", "contains", "additionalProperties", "unevaluatedProperties",
    "propertyNames", "not", "if", "then", "else", "contentSchema",
)  # fmt: skip


class SchemaError(Exception):
    """An error or an unsupported keyword. The message continues `the JSON schema cannot be used`."""

    def __init__(self, pointer: str, what: str) -> None:
        """`pointer`: the JSON pointer of the place; empty for the root."""
        super().__init__(f"{f' at {pointer}' if pointer else ''}: {what}")
        self.pointer, self.what = pointer, what
        self.ignorable = False
        """True if a lenient reader can leave out what the error is about."""


@dataclass(frozen=True, slots=True)
class SchemaPlace:
    """The place of a subschema: its JSON pointer in the document, and the base URI of its references."""

    pointer: str = ""
    base: str = ""

    def child(self, *keys: str | int) -> SchemaPlace:
        """The place that `keys` lead to from here."""
        steps = "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)
        return SchemaPlace(self.pointer + steps, self.base)

    def rebased(self, node: Json) -> SchemaPlace:
        """This place with the base URI that the `$id` of `node` sets."""
        own = node.get("$id") if is_table(node) else None
        return SchemaPlace(self.pointer, urldefrag(urljoin(self.base, own)).url) if isinstance(own, str) else self


@dataclass(frozen=True, slots=True)
class SchemaPart:
    """A schema with its place."""

    node: Json
    place: SchemaPlace


def is_table(node: Json) -> TypeGuard[dict[str, Json]]:
    """True if `node` is a JSON object."""
    return isinstance(node, dict)


def is_list(node: Json) -> TypeGuard[list[Json]]:
    """True if `node` is a JSON array."""
    return isinstance(node, list)


def subschemas(node: Json, place: SchemaPlace) -> Iterator[SchemaPart]:
    """Yields the schemas directly inside a schema."""
    if not is_table(node):
        return
    for name in _TABLES:
        table = node.get(name)
        for key, each in table.items() if is_table(table) else ():
            yield SchemaPart(each, place.child(name, key))
    for name in _LISTS:
        rows = node.get(name)
        for i, each in enumerate(rows if is_list(rows) else ()):
            yield SchemaPart(each, place.child(name, i))
    for name in _ONES:
        if isinstance(node.get(name), dict):
            yield SchemaPart(node[name], place.child(name))


class Resources:
    """Finds the targets of references, and limits the number of steps: references can multiply subschemas."""

    def __init__(self, root: Json) -> None:
        self._n_left = _MOST_STEPS
        self._resources: dict[str, SchemaPart] = {}
        self._anchors: dict[tuple[str, str], SchemaPart] = {}
        self._dynamic: dict[str, list[SchemaPart]] = {}
        todo = [SchemaPart(root, SchemaPlace())]
        self._resources[""] = todo[0]
        while todo:
            part = todo.pop()
            place = part.place.rebased(part.node)
            if is_table(part.node):
                self._index(part.node, SchemaPart(part.node, place))
            todo += subschemas(part.node, place)

    def _index(self, node: dict[str, Json], part: SchemaPart) -> None:
        base = part.place.base
        if "$id" in node:
            self._resources.setdefault(base, part)
        for name in ("$anchor", "$dynamicAnchor"):
            anchor = node.get(name)
            if isinstance(anchor, str):
                self._anchors[base, anchor] = part
                if name == "$dynamicAnchor":
                    self._dynamic.setdefault(anchor, []).append(part)

    def count_step(self, place: SchemaPlace) -> None:
        """Counts one step. Raises SchemaError after 100,000."""
        self._n_left -= 1
        if self._n_left < 0:
            raise SchemaError(place.pointer, "the schema has too many combinations")

    def find(self, ref: Json, place: SchemaPlace) -> SchemaPart:
        """The target of a `$ref` at `place`. Raises SchemaError if it is not in the document."""
        if not isinstance(ref, str):
            raise SchemaError(place.child("$ref").pointer, "must be a string")
        uri, fragment = (place.base, ref[1:]) if ref.startswith("#") else urldefrag(urljoin(place.base, ref))
        fragment = unquote(fragment)
        resource = self._resources.get(uri)
        if resource is None:
            raise SchemaError(place.child("$ref").pointer, f"{ref} is outside this schema; references are not fetched")
        if fragment and not fragment.startswith("/"):
            found = self._anchors.get((uri, fragment))
        else:
            found = _follow(resource, fragment)
        if found is None:
            raise SchemaError(place.child("$ref").pointer, f"there is no {ref} in this schema")
        return found

    def find_dynamic(self, ref: Json, place: SchemaPlace) -> SchemaPart:
        """The target of a `$dynamicRef`. Raises SchemaError if it depends on how the reference was reached."""
        found = self.find(ref, place)
        anchor = found.node.get("$dynamicAnchor") if is_table(found.node) else None
        if anchor is not None and str(ref).endswith(f"#{anchor}") and len(self._dynamic[anchor]) > 1:
            raise SchemaError(
                place.child("$dynamicRef").pointer, "a `$dynamicRef` with more than one target is not supported"
            )
        return found


def _follow(part: SchemaPart, pointer: str) -> SchemaPart | None:
    node, place = part.node, part.place
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if is_table(node) and key in node:
            node = node[key]
        elif is_list(node) and key.isdecimal() and int(key) < len(node):
            node = node[int(key)]
        else:
            return None
        place = place.child(key).rebased(node)
    return SchemaPart(node, place)


def all_of(parts: Iterable[Json]) -> Json:
    """A schema for the values that all of `parts` allow."""
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
    """A schema for the values that one or more of `parts` allow."""
    left: list[Json] = []
    for part in parts:
        if part is True or part == {}:
            return True
        if part is not False and (len(left) > _FEW or part not in left):
            left.append(part)
    if not left:
        return False
    return left[0] if len(left) == 1 else {"anyOf": left}


def with_types(types: Iterable[str]) -> Json:
    """A schema for the values of these types."""
    wanted = set(types)
    left = [name for name in TYPES if name in wanted]
    if len(left) == len(TYPES):
        return True
    return {"type": left[0] if len(left) == 1 else left} if left else False


def without_key(key: str) -> Json:
    """A schema for objects without `key`, and for all values that are no object."""
    return {"properties": {key: False}}


def with_keys(keys: Sequence[str]) -> Json:
    """A schema for objects with all of `keys`, and for all values that are no object."""
    return {"required": list(keys)} if keys else True


def json_type(value: Json) -> str:
    """The JSON type of a value; `number` for every number."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    return "number" if isinstance(value, int | float) else "array" if is_list(value) else "object"
