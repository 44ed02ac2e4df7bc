"""What would cost too much is refused, or has its limits; nothing hangs, and nothing ends the process."""

from __future__ import annotations

from functools import reduce
from typing import Any

import pytest

from app.engine.core.backend import ComputeError, SamplingError
from tests.fakes.byte_vocab import EOG, OTHER_EOG, matcher


def nested(depth: int) -> Any:
    return reduce(lambda inside, _: {"type": "array", "items": inside}, range(depth), {"type": "null"})


def doubled(depth: int, name: str = "allOf") -> dict[str, Any]:
    """Each definition refers to the next one twice."""
    twice = {f"d{i}": {name: [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(depth)}
    return twice | {f"d{depth}": {"type": "object", "required": ["a"]}}


@pytest.mark.parametrize(
    "given",
    [
        {"json_schema": nested(90)},
        {"json_schema": '{"items":' * 50_000 + "true" + "}" * 50_000},
        {"json_schema": {"$ref": "#"}},
        {"json_schema": {"allOf": [{"$ref": "#"}], "type": "object"}},
        {"json_schema": {"not": {"$ref": "#"}}},
        {"json_schema": {"$ref": "#", "unevaluatedProperties": False}},
        {"json_schema": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}},
        {"json_schema": {"not": {"$ref": "#/$defs/d0"}, "$defs": doubled(23)}},
        {"json_schema": {"not": {"$ref": "#/$defs/d0"}, "$defs": doubled(23, "anyOf")}},
        {"json_schema": {"$ref": "#/$defs/d0", "unevaluatedProperties": False, "$defs": doubled(15)}},
        {"json_schema": {"propertyNames": {"$ref": "#/$defs/d0"}, "$defs": doubled(8)}},
        {"json_schema": {"allOf": [{"anyOf": [{"required": [f"a{i}"]}, {"required": ["b"]}]} for i in range(30)]}},
        {"json_schema": {"dependentRequired": {f"a{i}": [f"b{i}"] for i in range(40)}}},
        {"json_schema": {"oneOf": [{"type": "object", "required": [f"k{i}"]} for i in range(60)]}},
        {"json_schema": {"const": "=" * 500_000}},
        {"json_schema": {"type": "string", "minLength": 50_000}},
        {"json_schema": {"type": "array", "minItems": 1_000, "items": {"type": "array", "minItems": 1_000}}},
        {"json_schema": {"properties": {f"k{i}": {"type": "string"} for i in range(1_000)}}},
        {"json_schema": {"properties": {f"k{i}": {} for i in range(50_000)}}},
        {"json_schema": {"type": "integer", "multipleOf": 987_654_321}},
        {"json_schema": {"type": "string", "pattern": "(.{1,1000}x){1,1000}"}},
        {"json_schema": {"type": "string", "pattern": ".*a.{200}"}},
        {"regex": "((a{1,1000}){1,1000}){1,1000}"},
        {"regex": "(?:" * 90 + "a" + ")*" * 90},
        {"regex": "(" * 100_000},
        {"grammar": 'root ::= (("a"?){16}){16} root | "x"'},
        {"grammar": "\n".join(f"r{i} ::= r{i + 1}" for i in range(5_000)) + '\nr5000 ::= "b"\nroot ::= r0'},
        {"grammar": 'root ::= "' + "ab" * 100_000 + '"'},
        {"grammar": "\n".join(f"r{i} ::= r{i + 1} r{i + 1}" for i in range(60)) + '\nr60 ::= "b"\nroot ::= r0'},
        {"lark": "start: " + "(" * 20_000 + '"a"' + ")" * 20_000},
        {"lark": 'start: start start | "a" | ""'},
    ],
    ids=lambda given: str(given)[:60],
)
def test_a_hostile_form_is_refused_or_followed_with_bounds(given: dict[str, Any]) -> None:
    reported = ""
    try:
        state = matcher(**given)
        for _ in range(40):
            allowed = state.mask().nonzero()[0].tolist()
            if allowed[0] in (EOG, OTHER_EOG):
                break
            assert state.accept(allowed[0])
    except (SamplingError, ComputeError) as error:
        reported = str(error)
    assert len(reported) < 5_000
