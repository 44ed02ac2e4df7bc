"""What is left for `unevaluatedProperties` and `unevaluatedItems`: a schema as cases, each with what it has looked at.

Where an alternative is chosen, what it has looked at is known; so a part with alternatives becomes one case for each
way in which they can hold, and what is unevaluated is what the keywords beside it leave over in that case.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product

from app.engine.grammar.applicators import Combined, Reader, listed
from app.engine.grammar.keywords import pattern
from app.engine.grammar.nodes import (
    Json,
    SchemaError,
    SchemaPart,
    SchemaPlace,
    all_of,
    having,
    is_list,
    is_table,
    without,
)

_MOST_CASES, _MOST_CHOICES, _DEEPEST = 64, 4, 16


@dataclass(frozen=True, slots=True)
class Seen:
    """What has been looked at of an object and of an array."""

    names: frozenset[str] = frozenset()
    patterns: frozenset[str] = frozenset()
    n_items: int = 0
    all_names: bool = False
    all_items: bool = False

    def __or__(self, other: Seen) -> Seen:
        return Seen(
            self.names | other.names,
            self.patterns | other.patterns,
            max(self.n_items, other.n_items),
            self.all_names or other.all_names,
            self.all_items or other.all_items,
        )


@dataclass(frozen=True, slots=True)
class Case:
    """One way in which a schema can hold."""

    clean: Json
    seen: Seen = Seen()

    def __and__(self, other: Case) -> Case:
        return Case(all_of([self.clean, other.clean]), self.seen | other.seen)


class Cases:
    """Takes the schemas of one document apart."""

    def __init__(self, reader: Reader, combined: Combined) -> None:
        self._reader = reader
        self._combined = combined
        self._depth = 0

    def of(self, node: Json, place: SchemaPlace) -> list[Case]:
        """The cases of a part. Raises SchemaError."""
        if not is_table(node):
            return [Case(self._reader.convert(node, place))]
        if self._depth > _DEEPEST:
            raise SchemaError(place.pointer, "what is unevaluated is too deep inside references")
        place = place.within(node)
        self._reader.resources.spend(place)
        self._depth += 1
        try:
            cases = [Case(self._reader.own(node, place), self._seen(node, place))]
            for name in node:
                cases = self._both(cases, self._keyword(name, node, place), place)
        finally:
            self._depth -= 1
        if "contains" in node and "unevaluatedItems" in node:
            raise SchemaError(place.down("contains").pointer, "`contains` beside `unevaluatedItems` is not supported")
        return [self._rest(case, node, place) for case in cases]

    def _both(self, cases: list[Case], others: list[Case], place: SchemaPlace) -> list[Case]:
        if len(cases) * len(others) > _MOST_CASES:
            raise SchemaError(place.pointer, "what is unevaluated has too many cases")
        return [one & other for one, other in product(cases, others)]

    def _seen(self, node: dict[str, Json], place: SchemaPlace) -> Seen:
        properties, patterns, first = node.get("properties"), node.get("patternProperties"), node.get("prefixItems")
        is_first = is_list(node.get("items"))
        return Seen(
            frozenset(properties if is_table(properties) else ()),
            frozenset(pattern(each, place) for each in (patterns if is_table(patterns) else ())),
            len(first) if is_list(first) else 0,
            "additionalProperties" in node,
            "items" in node and (not is_first or "additionalItems" in node),
        )

    def _keyword(self, name: str, node: dict[str, Json], place: SchemaPlace) -> list[Case]:  # noqa: PLR0911 -- one a keyword
        at = place.down(name)
        match name:
            case "$ref" | "$dynamicRef":
                find = self._reader.resources.find if name == "$ref" else self._reader.resources.find_dynamic
                target = find(node[name], place)
                return self.of(target.node, target.place)
            case "allOf":
                cases = [Case(True)]
                for part in listed(node[name], at):
                    cases = self._both(cases, self.of(part.node, part.place), at)
                return cases
            case "anyOf":
                return self._any_of(listed(node[name], at), at)
            case "oneOf":
                parts = listed(node[name], at)
                alone = zip(parts, self._combined.choices(parts), strict=True)
                return [case & Case(only) for part, only in alone for case in self.of(part.node, part.place)]
            case "if":
                return self._if(node, place)
            case "dependentSchemas":
                cases = [Case(True)]
                for key, needs in node[name].items() if is_table(node[name]) else ():
                    there = [Case(having([key])) & case for case in self.of(needs, at.down(key))]
                    cases = self._both(cases, [Case(without(key)), *there], at)
                return cases
            case _:
                return [Case(self._combined.part(name, node, place))]

    def _any_of(self, parts: list[SchemaPart], place: SchemaPlace) -> list[Case]:
        each = [self.of(part.node, part.place) for part in parts]
        if all(case.seen == Seen() for cases in each for case in cases):
            return [case for cases in each for case in cases]
        if len(parts) > _MOST_CHOICES:
            raise SchemaError(place.pointer, f"more than {_MOST_CHOICES} alternatives where something is unevaluated")
        found: list[Case] = []
        for n in range(1, len(parts) + 1):
            for some in combinations(each, n):
                cases = [Case(True)]
                for others in some:
                    cases = self._both(cases, others, place)
                found += cases
        return found

    def _if(self, node: dict[str, Json], place: SchemaPlace) -> list[Case]:
        condition, at = node["if"], place.down("if")
        then = self.of(node.get("then", True), place.down("then"))
        otherwise = self.of(node.get("else", True), place.down("else"))
        opposite = self._combined.opposites.of(condition, at)
        return [*self._both(self.of(condition, at), then, place), *self._both([Case(opposite)], otherwise, place)]

    def _rest(self, case: Case, node: dict[str, Json], place: SchemaPlace) -> Case:
        """The case with what is unevaluated held to."""
        seen = case.seen
        if "unevaluatedProperties" in node and not seen.all_names:
            rest = self._reader.convert(node["unevaluatedProperties"], place.down("unevaluatedProperties"))
            clean: dict[str, Json] = {"additionalProperties": rest}
            if seen.patterns:
                clean = {"patternProperties": dict.fromkeys(sorted(seen.patterns), True)} | clean
            if seen.names:
                clean = {"properties": dict.fromkeys(sorted(seen.names), True)} | clean
            case = Case(all_of([case.clean, clean]), seen | Seen(all_names=True))
        if "unevaluatedItems" in node and not seen.all_items:
            rest = self._reader.convert(node["unevaluatedItems"], place.down("unevaluatedItems"))
            first: dict[str, Json] = {"prefixItems": [True] * seen.n_items} if seen.n_items else {}
            case = Case(all_of([case.clean, first | {"items": rest}]), case.seen | Seen(all_items=True))
        return case
