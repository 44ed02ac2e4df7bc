"""Converts a JSON Schema (draft 2020-12) to what llguidance supports; refuses the rest with its JSON pointer.

llguidance has the simple keywords. The others are rewritten: conditions and dependencies as alternatives, `unevaluated`
keywords as cases, `not` and `oneOf` by negation. Unknown keywords are ignored, as the standard requires. Answers are
narrower than the standard in three ways: keys come in the order of `properties`, whole numbers have no fraction, and
formats are enforced.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.engine.core.backend import SamplingError
from app.engine.grammar.applicators import Applicators
from app.engine.grammar.cases import Cases
from app.engine.grammar.keywords import own_keywords
from app.engine.grammar.nodes import Json, Resources, SchemaError, SchemaPlace, all_of, any_of, is_list, is_table

_DIALECTS = "json-schema.org/"
_UNEVALUATED = ("unevaluatedProperties", "unevaluatedItems")
_MOST_PARTS, _DEEPEST, _MOST_TRIED = 20_000, 100, 200
_N_NAMED = 5
_BLAME_S = 1.0
"""Seconds to search for the subschema that llguidance refuses."""


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema in the part of draft 2020-12 that llguidance supports."""

    clean: dict[str, Any]
    notices: tuple[str, ...]
    """For the user: the keywords that are ignored."""
    places: tuple[tuple[str, Json], ...]
    """Its subschemas with their JSON pointers in the original."""

    def blame(self, message: str, refusal: Callable[[dict[str, Any]], str]) -> str:
        """An error message with the place that llguidance's `message` is about, as far as it is found in 1 s.

        `refusal`: returns llguidance's message for a subschema alone, empty for none.
        """
        kind, what = next((kind for kind in _MEANINGS if kind[0] in message), ("", message))
        found = ""
        definitions = {"$defs": self.clean["$defs"]} if "$defs" in self.clean else {}
        ends_s = time.monotonic() + _BLAME_S
        for pointer, part in self.places[:_MOST_TRIED]:
            if time.monotonic() > ends_s:
                break
            if len(pointer) <= len(found) or not is_table(part):
                continue
            said = refusal(part | definitions)
            if said == message or (kind and kind in said):
                found = pointer
        return f"the JSON schema cannot be used{SchemaError(found, what)}"


_MEANINGS = (
    ("Unsatisfiable schema", "it allows nothing"),
    ("are not disjoint", "one key can match two of its `patternProperties`, which is not supported"),
    ("schema too large", "it has too many combinations"),
    ("circular references with sibling keys", "a reference to itself beside other keywords is not supported"),
)


def read_schema(text: str, *, lenient: bool = False) -> Schema:
    """Reads a schema from JSON. Raises SamplingError.

    `lenient`: ignore unsupported keywords, with a notice, instead of refusing them.
    """
    try:
        root = json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise SamplingError(f"the JSON schema is not JSON: {place}: {error.msg}") from error
    except (RecursionError, ValueError) as error:
        raise SamplingError(f"the JSON schema cannot be read: {error}") from error
    try:
        return _Reader(root, lenient).read()
    except SchemaError as error:
        next_step = "; --schema-lenient ignores it" if error.ignorable else ""
        raise SamplingError(f"the JSON schema cannot be used{error}{next_step}") from error
    except RecursionError as error:
        raise SamplingError("the JSON schema cannot be used: it is nested too deeply") from error


class _Reader:
    def __init__(self, root: Json, lenient: bool) -> None:
        self._root, self._lenient = root, lenient
        self._ignored: list[SchemaError] = []
        self._definitions: dict[str, Json] = {}
        self._names: dict[str, str] = {}
        self._places: list[tuple[str, Json]] = []
        self._depth = 0
        _check_text(root)
        self.resources = Resources(root)
        self._applicators = Applicators(self)
        self._cases = Cases(self, self._applicators)

    def read(self) -> Schema:
        dialect = self._root.get("$schema", _DIALECTS) if is_table(self._root) else _DIALECTS
        if _DIALECTS not in str(dialect):
            self.refuse(SchemaError("/$schema", f"unknown dialect {dialect}"))
        clean = self.convert(self._root, SchemaPlace())
        if clean is False:
            raise SchemaError("", "it allows nothing")
        clean = {} if clean is True else dict(clean)
        if self._definitions:
            clean["$defs"] = self._definitions
        return Schema(clean, self._notices(), tuple(self._places))

    def convert(self, node: Json, place: SchemaPlace) -> Json:
        """Implements `Reader.convert`."""
        if isinstance(node, bool):
            return node
        if not is_table(node):
            raise SchemaError(place.pointer, "must be an object, true or false")
        if self._depth > _DEEPEST or len(self._places) > _MOST_PARTS:
            raise SchemaError(place.pointer, "the schema is too large")
        self._depth += 1
        try:
            place = place.rebased(node)
            clean = self._unevaluated(node, place) if any(name in node for name in _UNEVALUATED) else None
            if clean is None:
                clean = all_of([self.convert_own(node, place), *self._applicators.convert_all(node, place)])
        finally:
            self._depth -= 1
        self._places.append((place.pointer, clean))
        return clean

    def _unevaluated(self, node: dict[str, Json], place: SchemaPlace) -> Json | None:
        try:
            return any_of(case.clean for case in self._cases.split(node, place))
        except SchemaError as error:
            self.refuse(error)
            return None

    def convert_own(self, node: dict[str, Json], place: SchemaPlace) -> Json:
        """Implements `Reader.convert_own`."""
        return own_keywords(node, place, self.convert, self.refuse)

    def refuse(self, error: SchemaError) -> None:
        """Implements `Reader.refuse`."""
        if not self._lenient:
            error.ignorable = True
            raise error
        if str(error) not in map(str, self._ignored):
            self._ignored.append(error)

    def reference(self, name: str, node: dict[str, Json], place: SchemaPlace) -> Json:
        """Implements `Reader.reference`; adds the definition."""
        find = self.resources.find if name == "$ref" else self.resources.find_dynamic
        target = find(node[name], place)
        if isinstance(target.node, bool):
            return target.node
        key = target.place.pointer
        if key not in self._names:
            self._names[key] = f"d{len(self._names)}"
            self._definitions[self._names[key]] = True
            self._definitions[self._names[key]] = self.convert(target.node, target.place)
        return {"$ref": f"#/$defs/{self._names[key]}"}

    def _notices(self) -> tuple[str, ...]:
        if not self._ignored:
            return ()
        named = "; ".join(f"{error.pointer or 'the root'} ({error.what})" for error in self._ignored[:_N_NAMED])
        more = f"; and {len(self._ignored) - _N_NAMED} more" if len(self._ignored) > _N_NAMED else ""
        return (f"ignored in the JSON schema: {named}{more}",)


def _check_text(root: Json) -> None:
    """Raises SchemaError for text that is not valid Unicode."""
    todo = [(root, SchemaPlace())]
    while todo:
        node, place = todo.pop()
        if isinstance(node, str) and not node.isascii():
            _check_utf8(node, place)
        elif is_table(node):
            for key, value in node.items():
                _check_utf8(key, place)
                todo.append((value, place.child(key)))
        elif is_list(node):
            todo += ((value, place.child(i)) for i, value in enumerate(node))


def _check_utf8(text: str, place: SchemaPlace) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        at = SchemaPlace(place.pointer.encode(errors="replace").decode(), place.base).pointer
        raise SchemaError(at, "a lone surrogate is not a character") from error
