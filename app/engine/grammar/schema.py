"""Makes a JSON Schema (draft 2020-12) ready for llguidance, and refuses with its pointer what cannot be held to.

llguidance knows the simple keywords. The others are put into these: conditions and dependencies into alternatives, what
is unevaluated into what is left over of the keywords beside it, `not` and `oneOf` into their negation. Keywords that
the standard does not know say nothing, as it wants. The answer's text is narrower than the standard in three ways that
change no value: keys come in the order of `properties`, whole numbers without a fraction, and formats are held to.
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
"""How long is looked for the part that a refusal is about."""


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema that llguidance reads, in draft 2020-12."""

    clean: dict[str, Any]
    notices: tuple[str, ...]
    """Notices for the user: the keywords that have no effect."""
    places: tuple[tuple[str, Json], ...]
    """Its parts with their pointers in the text that was given."""

    def blame(self, message: str, refusal: Callable[[dict[str, Any]], str]) -> str:
        """Says where llguidance's `message` comes from, and what it means.

        `refusal` gives llguidance's message for a part alone, empty for none.
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
        return f"the JSON schema cannot be followed{SchemaError(found, what)}"


_MEANINGS = (
    ("Unsatisfiable schema", "it allows nothing"),
    ("are not disjoint", "one key can match two of its `patternProperties`, which is not supported"),
    ("schema too large", "it has too many combinations"),
    ("circular references with sibling keys", "a reference to itself beside other keywords is not supported"),
)


def read_schema(text: str, *, lenient: bool = False) -> Schema:
    """Reads the text of a schema; with `lenient`, what cannot be held to has no effect and is noticed.

    Raises SamplingError.
    """
    try:
        root = json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise SamplingError(f"the JSON schema is not JSON: {place}: {error.msg}") from error
    except (RecursionError, ValueError) as error:
        raise SamplingError(f"the JSON schema is not JSON that can be read: {error}") from error
    try:
        return _Reader(root, lenient).read()
    except SchemaError as error:
        raise SamplingError(f"the JSON schema cannot be followed{error}") from error
    except RecursionError as error:
        raise SamplingError("the JSON schema cannot be followed: it is nested too deeply") from error


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
            self.refuse(SchemaError("/$schema", f"the dialect {dialect} is not known"))
        clean = self.convert(self._root, SchemaPlace())
        if clean is False:
            raise SchemaError("", "it allows nothing")
        clean = {} if clean is True else dict(clean)
        if self._definitions:
            clean["$defs"] = self._definitions
        return Schema(clean, self._notices(), tuple(self._places))

    def convert(self, node: Json, place: SchemaPlace) -> Json:
        """A part as llguidance reads it: an object, true or false. Raises SchemaError."""
        if isinstance(node, bool):
            return node
        if not is_table(node):
            raise SchemaError(place.pointer, "a schema is an object, true or false")
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
        """What a part says without others being looked at."""
        return own_keywords(node, place, self.convert, self.refuse)

    def refuse(self, error: SchemaError) -> None:
        """Raises the error, or remembers it where what it is about is to be left out."""
        if not self._lenient:
            raise error
        if str(error) not in map(str, self._ignored):
            self._ignored.append(error)

    def reference(self, name: str, node: dict[str, Json], place: SchemaPlace) -> Json:
        """A `$ref`, or `$dynamicRef`, to a definition of its own."""
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
        named = "; ".join(f"{error.pointer or 'the whole'} ({error.what})" for error in self._ignored[:_N_NAMED])
        more = f"; and {len(self._ignored) - _N_NAMED} more" if len(self._ignored) > _N_NAMED else ""
        return (f"this part of the JSON schema has no effect: {named}{more}",)


def _check_text(root: Json) -> None:
    """Raises SchemaError for text that no UTF-8 can hold, and for numbers that JSON does not have."""
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
        raise SchemaError(at, "half of a surrogate pair is no character") from error
