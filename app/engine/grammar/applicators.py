"""The applicators of JSON Schema, the keywords that combine schemas, rewritten as conjunctions and alternatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from app.engine.grammar.keywords import anchored, count, keys
from app.engine.grammar.negation import Negation
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

_MOST_ALTERNATIVES = 4_000
_DEEPEST = 8


class Reader(Protocol):
    """The reader of the whole schema, as its parts see it."""

    resources: Resources

    def convert(self, node: Json, place: SchemaPlace) -> Json:
        """Converts a subschema to what llguidance supports. Raises SchemaError."""
        ...

    def convert_own(self, node: dict[str, Json], place: SchemaPlace) -> Json:
        """Converts only the keywords of `node` that stand alone. Raises SchemaError."""
        ...

    def refuse(self, error: SchemaError) -> None:
        """Raises `error`, or records it if the schema is read leniently."""
        ...

    def reference(self, name: str, node: dict[str, Json], place: SchemaPlace) -> Json:
        """Converts a `$ref` or `$dynamicRef` to a reference to a definition. Raises SchemaError."""
        ...


class Applicators:
    """Converts the applicators of one document."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.negation = Negation(reader.convert, reader.resources)
        self._readers: dict[str, Callable[[str, dict[str, Json], SchemaPlace], Json]] = {
            "$ref": reader.reference,
            "$dynamicRef": reader.reference,
            "allOf": lambda name, node, place: all_of(map(self._convert, listed(node[name], place.child(name)))),
            "anyOf": lambda name, node, place: any_of(map(self._convert, listed(node[name], place.child(name)))),
            "oneOf": self._one_of,
            "not": lambda name, node, place: self.negation.negate(node[name], place.child(name)),
            "if": self._if,
            "dependentRequired": self._dependent,
            "dependentSchemas": self._dependent,
            "dependencies": self._dependent,
            "propertyNames": self._names,
            "contains": self._contains,
        }

    def convert_all(self, node: dict[str, Json], place: SchemaPlace) -> list[Json]:
        """Converts each applicator of `node`; leaves out those that allow everything."""
        return [part for name in node if (part := self.convert(name, node, place)) is not True]

    def convert(self, name: str, node: dict[str, Json], place: SchemaPlace) -> Json:
        """Converts one keyword; returns True for one that is no applicator, or that is ignored."""
        read = self._readers.get(name)
        if read is None:
            return True
        try:
            return read(name, node, place)
        except SchemaError as error:
            self._reader.refuse(error)
            return True

    def exclusions(self, parts: list[SchemaPart]) -> list[Json]:
        """For each of `parts`, a schema for the values that no other part matches.

        Raises SchemaError if a part has to be negated and cannot be.
        """
        found: list[Json] = []
        for i, part in enumerate(parts):
            others = [other for j, other in enumerate(parts) if j != i and not self._disjoint(part, other)]
            found.append(all_of(self.negation.negate(other.node, other.place) for other in others))
        return found

    def _convert(self, part: SchemaPart) -> Json:
        return self._reader.convert(part.node, part.place)

    def _one_of(self, name: str, node: dict[str, Json], place: SchemaPlace) -> Json:
        parts = listed(node[name], place.child(name))
        try:
            alone = self.exclusions(parts)
        except SchemaError as error:
            what = f"its parts must exclude each other or be negated ({error.pointer}: {error.what}); use `anyOf`"
            raise SchemaError(place.child(name).pointer, what) from error
        return any_of(all_of([self._convert(part), only]) for part, only in zip(parts, alone, strict=True))

    def _if(self, _name: str, node: dict[str, Json], place: SchemaPlace) -> Json:
        if "then" not in node and "else" not in node:
            return True
        condition, at = node["if"], place.child("if")
        then, otherwise = (self._reader.convert(node.get(key, True), place.child(key)) for key in ("then", "else"))
        if then is True:  # the condition alone is not needed
            return any_of([self._reader.convert(condition, at), otherwise])
        opposite = self.negation.negate(condition, at)
        if otherwise is True:
            return any_of([opposite, then])
        return any_of([all_of([self._reader.convert(condition, at), then]), all_of([opposite, otherwise])])

    def _dependent(self, name: str, node: dict[str, Json], place: SchemaPlace) -> Json:
        table, at = node[name], place.child(name)
        if not is_table(table):
            raise SchemaError(at.pointer, "must be an object")
        return all_of(self.dependency(key, table[key], at.child(key)) for key in table)

    def dependency(self, key: str, needs: Json, place: SchemaPlace) -> Json:
        """A schema for what `needs` requires of objects that have `key`."""
        if is_list(needs):
            return any_of([without_key(key), with_keys(keys(needs, place))])
        return any_of([without_key(key), all_of([with_keys([key]), self._reader.convert(needs, place)])])

    def _names(self, name: str, node: dict[str, Json], place: SchemaPlace) -> Json:
        at = place.child(name)
        if (listed_names := _names_listed(node[name])) is not None:
            return {"properties": dict.fromkeys(listed_names, True), "additionalProperties": False}
        regexes = self._name_regexes(node[name], at, 0)
        if regexes is None:
            return {"maxProperties": 0}
        if len(regexes) > 1:
            raise SchemaError(at.pointer, "only one pattern, length or list of names is supported")
        return {"patternProperties": {regexes[0]: True}, "additionalProperties": False} if regexes else True

    def _name_regexes(  # noqa: PLR0911 -- one a reason
        self, names: Json, place: SchemaPlace, depth: int
    ) -> list[str] | None:
        """Regexes that each key has to match; None if no key is allowed."""
        self._reader.resources.count_step(place)
        if names is False:
            return None
        if names is True:
            return []
        if not is_table(names) or depth > _DEEPEST:
            raise SchemaError(place.pointer, "must be an object, true or false")
        clean = self._reader.convert_own(names, place)
        rest = {key: value for key, value in names.items() if key not in ("allOf", "$ref")}
        if self.convert_all(rest, place) or "allOf" in clean:
            raise SchemaError(place.pointer, "only lengths, patterns, formats and lists of names are supported")
        if "type" in clean and "string" not in (clean["type"] if is_list(clean["type"]) else [clean["type"]]):
            return None
        regexes = [clean["pattern"]] if "pattern" in clean else []
        if "minLength" in clean or "maxLength" in clean:
            least, most = clean.get("minLength", 0), clean.get("maxLength", "")
            regexes.append(anchored(f"(?s:.){{{least},{most}}}"))
        for allowed in ([clean["const"]] if "const" in clean else None, clean.get("enum")):
            if allowed is not None:
                texts = [literal(each) for each in allowed if isinstance(each, str)]
                if not texts:
                    return None
                regexes.append(anchored("|".join(texts)))
        for part in listed(names["allOf"], place.child("allOf")) if "allOf" in names else []:
            found = self._name_regexes(part.node, part.place, depth + 1)
            if found is None:
                return None
            regexes += found
        if "$ref" in names:
            target = self._reader.resources.find(names["$ref"], place)
            found = self._name_regexes(target.node, target.place, depth + 1)
            return None if found is None else regexes + found
        return regexes

    def _contains(self, name: str, node: dict[str, Json], place: SchemaPlace) -> Json:
        inside, at = node[name], place.child(name)
        least = count(node.get("minContains", 1), place.child("minContains"))
        most = count(node["maxContains"], place.child("maxContains")) if "maxContains" in node else None
        clean = self._reader.convert(inside, at)
        if most is not None and most < least:
            return with_types(each for each in TYPES if each != "array")
        if clean is True or clean == {}:
            return {"minItems": least} | ({} if most is None else {"maxItems": most})
        if clean is False:
            return True if least == 0 else with_types(each for each in TYPES if each != "array")
        if most == 0:
            return {"items": self.negation.negate(inside, at)}
        if least == 0 and most is None:
            return True
        raise SchemaError(at.pointer, "`contains` is not supported; describe every item with `items`")

    def _disjoint(self, one: SchemaPart, other: SchemaPart, depth: int = 0) -> bool:  # noqa: PLR0911 -- one a reason
        """True if it is easy to see that no value matches both."""
        one, other = self._target(one), self._target(other)
        self._reader.resources.count_step(one.place)
        if one.node is False or other.node is False:
            return True
        if not (is_table(one.node) and is_table(other.node)) or depth > _DEEPEST:
            return False
        values, theirs = _values(one.node), _values(other.node)
        if values is not None and theirs is not None:
            return not any(_same(value, their) for value in values for their in theirs)
        types, their_types = _types(one.node), _types(other.node)
        if not types & their_types:
            return True
        if types & their_types != {"object"}:
            return False
        ours, others = one.node.get("properties"), other.node.get("properties")
        if not (is_table(ours) and is_table(others)):
            return False
        both = [key for key in ours if key in others and _needs(one.node, key) and _needs(other.node, key)]
        return any(
            self._disjoint(
                SchemaPart(ours[key], one.place.child("properties", key)),
                SchemaPart(others[key], other.place.child("properties", key)),
                depth + 1,
            )
            for key in both
        )

    def _target(self, part: SchemaPart) -> SchemaPart:
        for _ in range(_DEEPEST):
            if not is_table(part.node) or "$ref" not in part.node:
                break
            part = self._reader.resources.find(part.node["$ref"], part.place)
        return part


def listed(value: Json, place: SchemaPlace) -> list[SchemaPart]:
    """The subschemas of a keyword that takes a list. Raises SchemaError."""
    if not is_list(value) or not value:
        raise SchemaError(place.pointer, "must be a list of schemas that is not empty")
    if len(value) > _MOST_ALTERNATIVES:
        raise SchemaError(place.pointer, f"more than {_MOST_ALTERNATIVES:,} schemas")
    return [SchemaPart(each, place.child(i)) for i, each in enumerate(value)]


def _names_listed(names: Json) -> list[str] | None:
    """The names that a schema for `propertyNames` lists; None if it has other keywords."""
    if not is_table(names) or set(names) - {"enum", "const", "type"} or names.get("type", "string") != "string":
        return None
    values = _values(names)
    return None if values is None else [value for value in values if isinstance(value, str)]


def _needs(node: dict[str, Json], key: str) -> bool:
    required = node.get("required")
    return is_list(required) and key in required


def _values(node: dict[str, Json]) -> list[Json] | None:
    if "const" in node:
        return [node["const"]]
    return node["enum"] if is_list(node.get("enum")) else None


def _types(node: dict[str, Json]) -> set[str]:
    values = _values(node)
    if values is not None:
        return {json_type(value) for value in values}
    names = node.get("type", TYPES)
    found: set[str] = {names} if isinstance(names, str) else set(names)
    return {"number" if name == "integer" else name for name in found}


def _same(one: Json, other: Json) -> bool:
    """JSON equality: numbers by value, and true is not 1."""
    return json_type(one) == json_type(other) and one == other
