"""Random schemas held against `jsonschema`: `uv run python -m tests.bench.fuzz_schemas [--seconds N] [--seed N]`.

Random replies of each accepted schema must be valid JSON and valid; random instances must be accepted where they are
valid, and refused where they are not (in whatever order of keys; an object with many keys has more than are tried).
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable
from random import Random
from typing import Any

from jsonschema import Draft202012Validator

from app.engine.core.backend import ComputeError, SamplingError
from tests.bench.structured import spellings
from tests.fakes.byte_vocab import ByteVocab, accepts, matcher
from tests.fakes.random_reply import random_reply

_KEYS = ("a", "b", "c")
_VALUES = (None, True, False, 0, 1, 2, -1, 1.5, 7, 10, "", "a", "b", "ab", "abc", "b1")
_TYPES = (
    "null",
    "boolean",
    "integer",
    "number",
    "string",
    "array",
    "object",
    ["string", "null"],
    ["integer", "object"],
)
_DEFINITIONS = {
    "x": {"properties": {"a": {"type": "string"}}, "required": ["a"]},
    "y": {"type": "object", "properties": {"a": {"$ref": "#/$defs/y"}, "b": {"type": "null"}}},
}


def value(random: Random, depth: int = 0) -> Any:
    """A random instance."""
    kind = random.random()
    if depth > 2 or kind < 0.6:
        return random.choice(_VALUES)
    if kind < 0.8:
        return [value(random, depth + 1) for _ in range(random.randint(0, 3))]
    return {key: value(random, depth + 1) for key in random.sample(_KEYS, random.randint(0, 3))}


def schema(random: Random, depth: int = 0) -> Any:
    """A random schema of up to four keywords a level, and a type."""
    if depth > 3 or random.random() < 0.05:
        return random.choice((True, {"type": "integer"}, {"type": "string"}, {"type": "null"}, {}))

    def part() -> Any:
        return schema(random, depth + 1)

    def parts(most: int) -> list[Any]:
        return [part() for _ in range(random.randint(1, most))]

    makers: dict[str, Callable[[], Any]] = {
        "enum": lambda: [value(random) for _ in range(random.randint(1, 4))],
        "const": lambda: value(random),
        "minimum": lambda: random.choice((-2, 0, 1, 1.5, 3)),
        "maximum": lambda: random.choice((0, 1, 2.5, 7, 10)),
        "exclusiveMinimum": lambda: random.choice((-2, 0, 1, 1.5)),
        "exclusiveMaximum": lambda: random.choice((0, 1, 2.5, 7, 10)),
        "multipleOf": lambda: random.choice((1, 2, 0.5, 3)),
        "minLength": lambda: random.randint(0, 3),
        "maxLength": lambda: random.randint(0, 3),
        "pattern": lambda: random.choice(("^a", "b$", "^a|b$", "[0-9]", "^[ab]*$", "a.c")),
        "items": part,
        "prefixItems": lambda: parts(2),
        "minItems": lambda: random.randint(0, 2),
        "maxItems": lambda: random.randint(0, 3),
        "properties": lambda: {key: part() for key in random.sample(_KEYS, random.randint(1, 3))},
        "required": lambda: random.sample(_KEYS, random.randint(1, 2)),
        "additionalProperties": lambda: random.choice((False, part())),
        "patternProperties": lambda: {random.choice(("^a", "b", "^[bc]$")): part()},
        "minProperties": lambda: random.randint(0, 2),
        "maxProperties": lambda: random.randint(0, 3),
        "allOf": lambda: parts(3),
        "anyOf": lambda: parts(3),
        "oneOf": lambda: parts(3),
        "not": part,
        "if": part,
        "then": part,
        "else": part,
        "dependentRequired": lambda: {random.choice(_KEYS): random.sample(_KEYS, 1)},
        "dependentSchemas": lambda: {random.choice(_KEYS): part()},
        "propertyNames": lambda: random.choice(({"maxLength": 1}, {"pattern": "^[ab]"}, {"enum": ["a", "b"]})),
        "unevaluatedProperties": lambda: random.choice((False, part())),
        "unevaluatedItems": lambda: random.choice((False, part())),
        "$ref": lambda: f"#/$defs/{random.choice('xy')}",
        "contains": part,
    }
    found: dict[str, Any] = {"type": random.choice(_TYPES)} if random.random() < 0.7 else {}
    return found | {name: makers[name]() for name in random.sample(list(makers), random.randint(1, 4))}


def wrongs(given: dict[str, Any], random: Random, counts: dict[str, int]) -> list[str]:
    """What goes wrong with one schema, in words."""
    start, validator = matcher(json_schema=json.dumps(given)), Draft202012Validator(given)
    found: list[str] = []
    for _ in range(5):
        try:
            reply = random_reply(start, ByteVocab.eog, random, 200)
        except ComputeError:
            counts["dead ends"] += 1
            continue
        counts["replies"] += reply is not None
        if reply is not None and not validator.is_valid(json.loads(reply)):
            found.append(f"INVALID reply {reply!r}")
    for _ in range(12):
        instance = value(random)
        counts["instances"] += 1
        texts = (json.dumps(each, separators=(",", ":")) for each in itertools.islice(spellings(instance), 3_000))
        if any(accepts(start, text) for text in texts) is not validator.is_valid(instance):
            found.append(f"WRONG about {json.dumps(instance)}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random, ends_s = Random(options.seed), time.monotonic() + options.seconds
    counts = dict.fromkeys(("schemas", "refused", "replies", "instances", "dead ends", "wrong"), 0)
    while time.monotonic() < ends_s:
        made = schema(random)
        given = (made if isinstance(made, dict) else {}) | {"$defs": _DEFINITIONS}
        counts["schemas"] += 1
        try:
            for wrong in wrongs(given, random, counts):
                counts["wrong"] += 1
                print(f"{wrong} of {json.dumps(given)}")
        except SamplingError:
            counts["refused"] += 1
    print(", ".join(f"{n:,} {name}" for name, n in counts.items()))
    return 1 if counts["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
