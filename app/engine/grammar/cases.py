"""Rewrites `unevaluatedProperties` and `unevaluatedItems` by splitting a schema into cases.

Which properties and items are evaluated depends on the alternatives that match. A schema with alternatives becomes one
case for each way in which they can match; in a case, the rest is plain `additionalProperties` and `items`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product

from app.engine.grammar.applicators import Applicators, Reader, listed
from app.engine.grammar.keywords import pattern
from app.engine.grammar.nodes import (
    Json,
    SchemaError,
    SchemaPart,
    SchemaPlace,
    all_of,
    is_list,
    is_table,
    with_keys,
    without_key,
)

_MOST_CASES, _MOST_CHOICES, _DEEPEST = 64, 4, 16


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The properties of an object and the items of an array that are evaluated."""

    names: frozenset[str] = frozenset()
    patterns: frozenset[str] = frozenset()
    n_items: int = 0
    all_names: bool = False
    all_items: bool = False

    def __or__(self, other: Evaluated) -> Evaluated:
        return Evaluated(
            self.names | other.names,
            self.patterns | other.patterns,
            max(self.n_items, other.n_items),
            self.all_names or other.all_names,
            self.all_items or other.all_items,
        )


@dataclass(frozen=True, slots=True)
class Case:
    """One way in which a schema can match."""

    clean: Json
    evaluated: Evaluated = Evaluated()

    def __and__(self, other: Case) -> Case:
        return Case(all_of([self.clean, other.clean]), self.evaluated | other.evaluated)


class Cases:
    """Splits the schemas of one document."""

    def __init__(self, reader: Reader, applicators: Applicators) -> None:
        self._reader = reader
        self._applicators = applicators
        self._depth = 0

    def split(self, node: Json, place: SchemaPlace) -> list[Case]:
        """The cases of a subschema; a value matches it if it matches one of them. Raises SchemaError."""
        if not is_table(node):
            return [Case(self._reader.convert(node, place))]
        if self._depth > _DEEPEST:
            raise SchemaError(place.pointer, "unevaluated keywords are nested too deeply in references")
        place = place.rebased(node)
        self._reader.resources.count_step(place)
        self._depth += 1
        try:
            cases = [Case(self._reader.convert_own(node, place), self._evaluated(node, place))]
            for name in node:
                cases = self._both(cases, self._keyword(name, node, place), place)
        finally:
            self._depth -= 1
        if "contains" in node and "unevaluatedItems" in node:
            raise SchemaError(place.child("contains").pointer, "`contains` beside `unevaluatedItems` is not supported")
        return [self._rest(case, node, place) for case in cases]

    def _both(self, cases: list[Case], others: list[Case], place: SchemaPlace) -> list[Case]:
        if len(cases) * len(others) > _MOST_CASES:
            raise SchemaError(place.pointer, "an unevaluated keyword has too many cases")
        return [one & other for one, other in product(cases, others)]

    def _evaluated(self, node: dict[str, Json], place: SchemaPlace) -> Evaluated:
        properties, patterns, first = node.get("properties"), node.get("patternProperties"), node.get("prefixItems")
        is_first = is_list(node.get("items"))
        return Evaluated(
            frozenset(properties if is_table(properties) else ()),
            frozenset(pattern(each, place) for each in (patterns if is_table(patterns) else ())),
            len(first) if is_list(first) else 0,
            "additionalProperties" in node,
            "items" in node and (not is_first or "additionalItems" in node),
        )

    def _keyword(self, name: str, node: dict[str, Json], place: SchemaPlace) -> list[Case]:  # noqa: PLR0911 -- one a keyword
        at = place.child(name)
        match name:
            case "$ref" | "$dynamicRef":
                find = self._reader.resources.find if name == "$ref" else self._reader.resources.find_dynamic
                target = find(node[name], place)
                return self.split(target.node, target.place)
            case "allOf":
                cases = [Case(True)]
                for part in listed(node[name], at):
                    cases = self._both(cases, self.split(part.node, part.place), at)
                return cases
            case "anyOf":
                return self._any_of(listed(node[name], at), at)
            case "oneOf":
                parts = listed(node[name], at)
                alone = zip(parts, self._applicators.exclusions(parts), strict=True)
                return [case & Case(only) for part, only in alone for case in self.split(part.node, part.place)]
            case "if":
                return self._if(node, place)
            case "dependentSchemas":
                cases = [Case(True)]
                for key, needs in node[name].items() if is_table(node[name]) else ():
                    there = [Case(with_keys([key])) & case for case in self.split(needs, at.child(key))]
                    cases = self._both(cases, [Case(without_key(key)), *there], at)
                return cases
            case _:
                return [Case(self._applicators.convert(name, node, place))]

    def _any_of(self, parts: list[SchemaPart], place: SchemaPlace) -> list[Case]:
        each = [self.split(part.node, part.place) for part in parts]
        if all(case.evaluated == Evaluated() for cases in each for case in cases):
            return [case for cases in each for case in cases]
        if len(parts) > _MOST_CHOICES:
            raise SchemaError(place.pointer, f"more than {_MOST_CHOICES} alternatives beside an unevaluated keyword")
        found: list[Case] = []
        for n in range(1, len(parts) + 1):
            for some in combinations(each, n):
                cases = [Case(True)]
                for others in some:
                    cases = self._both(cases, others, place)
                found += cases
        return found

    def _if(self, node: dict[str, Json], place: SchemaPlace) -> list[Case]:
        condition, at = node["if"], place.child("if")
        then = self.split(node.get("then", True), place.child("then"))
        otherwise = self.split(node.get("else", True), place.child("else"))
        opposite = self._applicators.negation.negate(condition, at)
        return [*self._both(self.split(condition, at), then, place), *self._both([Case(opposite)], otherwise, place)]

    def _rest(self, case: Case, node: dict[str, Json], place: SchemaPlace) -> Case:
        """The case with the `unevaluated` keywords of `node` applied."""
        evaluated = case.evaluated
        if "unevaluatedProperties" in node and not evaluated.all_names:
            rest = self._reader.convert(node["unevaluatedProperties"], place.child("unevaluatedProperties"))
            clean: dict[str, Json] = {"additionalProperties": rest}
            if evaluated.patterns:
                clean = {"patternProperties": dict.fromkeys(sorted(evaluated.patterns), True)} | clean
            if evaluated.names:
                clean = {"properties": dict.fromkeys(sorted(evaluated.names), True)} | clean
            case = Case(all_of([case.clean, clean]), evaluated | Evaluated(all_names=True))
        if "unevaluatedItems" in node and not evaluated.all_items:
            rest = self._reader.convert(node["unevaluatedItems"], place.child("unevaluatedItems"))
            first: dict[str, Json] = {"prefixItems": [True] * evaluated.n_items} if evaluated.n_items else {}
            case = Case(all_of([case.clean, first | {"items": rest}]), case.evaluated | Evaluated(all_items=True))
        return case
