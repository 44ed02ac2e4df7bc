"""Structured output: `uv run python -m tests.bench.structured suite FILE | replies | speed | model [-m MODEL]`.

suite    JSON-Schema-Test-Suite of draft 2020-12, in one object {file: [groups]} (or $TOKSCOPE_SCHEMA_SUITE).
         An instance is a value: it is accepted where one order of its keys is. Formats are asserted, so that the tests
         of `format.json` which say that they are annotations are left out. Goals: 0 wrong, at most 35 % refused.
replies  10 random replies each of schemas of many kinds, checked by `jsonschema`. Goal: 0 invalid.
speed    Masks at made-up vocabularies of 49k, 152k and 262k tokens. Goals: 0.2 ms a token; enum of 2,000 texts 1 ms.
model    24 persons and 24 poems of a real model, as `tok ask --schema` makes them. Goal: all parse and validate.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from statistics import mean, median, quantiles
from typing import Any

import numpy as np
from jsonschema import Draft202012Validator

from app.domain.sampling import SamplingParams
from app.engine.core.backend import SamplingError
from app.engine.grammar.compiler import Grammars
from tests.fakes.byte_vocab import ByteVocab, accepts, matcher, token_ids
from tests.fakes.random_reply import random_reply
from tests.fakes.schemas import KINDS, PERSON, POEM, PYDANTIC

_MOST_SPELLINGS = 2_000


def spellings(value: Any) -> Iterator[Any]:
    """The value with its keys in every order, whole numbers without a fraction."""
    if isinstance(value, float) and value.is_integer():
        yield int(value)
    elif isinstance(value, list):
        yield from map(list, itertools.product(*(list(itertools.islice(spellings(each), 6)) for each in value)))
    elif isinstance(value, dict):
        for keys in itertools.permutations(value):
            each = [list(itertools.islice(spellings(value[key]), 6)) for key in keys]
            for values in itertools.product(*each):
                yield dict(zip(keys, values, strict=True))
    else:
        yield value


def suite(path: Path) -> bool:
    """Prints what is accepted, refused and wrong; returns whether the goals are met."""
    counts: Counter[str] = Counter()
    by_reason: Counter[str] = Counter()
    for file, groups in json.loads(path.read_text()).items():
        for group in groups:
            try:
                start = matcher(json_schema=json.dumps(group["schema"]))
            except SamplingError as error:
                counts["refused"] += 1
                by_reason[str(error).rpartition(": ")[2][:60]] += 1
                continue
            counts["accepted"] += 1
            for test in group["tests"]:
                if file == "format.json" and "annotation" in test["description"]:
                    continue
                counts["instances"] += 1
                texts = (
                    json.dumps(each, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
                    for each in itertools.islice(spellings(test["data"]), _MOST_SPELLINGS)
                )
                if any(accepts(start, text) for text in texts) is not test["valid"]:
                    counts["wrong"] += 1
                    print(f"WRONG {file}: {group['description']}: {test['description']}")
    n_schemas = counts["accepted"] + counts["refused"]
    share = counts["refused"] / n_schemas
    print(f"{n_schemas} schemas, {counts['refused']} refused ({share:.1%}; goal 35 %)")
    print(f"{counts['instances']} instances of the others, {counts['wrong']} wrong (goal 0)")
    for reason, n in by_reason.most_common(12):
        print(f"  {n:4} {reason}")
    return not counts["wrong"] and share <= 0.35


def replies(n_each: int) -> bool:
    """Random replies of each schema; returns whether all are valid."""
    random, n, invalid, unended, refused = Random(7), 0, 0, 0, []
    for name, schema in (KINDS | {f"pydantic {key}": value for key, value in PYDANTIC.items()}).items():
        try:
            start = matcher(json_schema=json.dumps(schema))
        except SamplingError as error:
            refused.append(f"{name}: {error}")
            continue
        validator = Draft202012Validator(schema)
        for _ in range(n_each):
            reply = random_reply(start, ByteVocab.eog, random)
            if reply is None:
                unended += 1
                continue
            n += 1
            try:
                validator.validate(json.loads(reply))
            except Exception as error:
                invalid += 1
                print(f"INVALID {name}: {reply!r}: {str(error).splitlines()[0]}")
    print(f"{n} random replies of {len(KINDS) + len(PYDANTIC)} schemas, {invalid} invalid (goal 0)", end=", ")
    print(f"{unended} without an end")
    print(f"refused: {'; '.join(refused) or 'none'} (goal: at most 1 of the {len(PYDANTIC)} of pydantic)")
    return not invalid and len(refused) <= 1


class _MadeUp(ByteVocab):
    """A vocabulary with the lengths of a real one: bytes, then words of letters, some with a blank or punctuation."""

    def __init__(self, n_vocab: int) -> None:
        random, words = Random(1), dict[bytes, None]()
        while len(words) < n_vocab - 258:
            word = "".join(random.choices("etaoinshrdlucmfwypvbgkqjxz", k=random.choice((2, 3, 3, 4, 4, 5, 6, 7, 8))))
            head = random.choice(("", "", "", " ", " ", *'"{}[],:.-0123456789\n\t'))
            words[(head + word).encode()] = None
        self.n_vocab = n_vocab
        self.eog = frozenset((256,))
        self.non_text = (256, 257)
        texts = [bytes([byte]) for byte in range(256)] + [b"<eos>", b"<s>", *words]
        self.pieces = self.named_pieces = dict(enumerate(texts))


def speed() -> bool:
    """The cost of masks; returns whether the goals are met."""
    random = Random(2)
    texts = ["".join(random.choices("abcdefghij ", k=random.randint(4, 30))) for _ in range(2_000)]
    schemas = {"person": (PERSON, 0.2), "anything": ({}, 0.2), "enum of 2,000": ({"enum": texts}, 1.0)}
    good = True
    for n_vocab in (49_152, 151_936, 262_144):
        grammars = Grammars(_MadeUp(n_vocab), token_ids)
        began = time.perf_counter()
        grammars.prepare(SamplingParams(regex="a"))
        print(f"{n_vocab:,} tokens: vocabulary read in {time.perf_counter() - began:.2f} s, once")
        for name, (schema, goal_ms) in schemas.items():
            params = SamplingParams(json_schema=json.dumps(schema))
            began = time.perf_counter()
            start = grammars.matcher(params)
            compile_ms = (time.perf_counter() - began) * 1e3
            assert start
            taken = [ms for _ in range(5) for ms in _walk(start, random)]
            usual, p99 = median(taken), quantiles(taken, n=100)[98]
            good = good and usual <= goal_ms
            print(
                f"  {name:14} compiled in {compile_ms:.1f} ms; mask and accept: median {usual:.3f} ms a token, ", end=""
            )
            print(f"mean {mean(taken):.3f}, p99 {p99:.3f}, worst {max(taken):.3f} (goal {goal_ms} ms)")
    return good


def _walk(start: Any, random: Random) -> list[float]:
    state, taken = start.copy(), list[float]()
    for _ in range(80):
        began = time.perf_counter()
        mask = state.mask()
        mask_ms = (time.perf_counter() - began) * 1e3
        allowed = mask.nonzero()[0]
        token = int(allowed[random.randrange(len(allowed))])
        began = time.perf_counter()
        state.accept(token)
        taken.append(mask_ms + (time.perf_counter() - began) * 1e3)
        if token == 256:
            break
    return taken


def model(path: Path | None, n_each: int) -> bool:
    """Persons and poems of a real model; returns whether all are what their schemas say."""
    from app.domain.conversation import Role
    from app.domain.model import LoadOptions
    from app.engine.core.events import Finished
    from app.engine.native import library
    from app.engine.requests.service import ModelService
    from app.engine.text.renderer import Renderer
    from app.protocol.commands import ChatMessage, Generate, LoadModel
    from tests.fakes.smollm2 import smollm2_path

    library.start()
    renderer = Renderer()
    command = LoadModel(str(path or smollm2_path()), LoadOptions(n_ctx=1024))
    host = ModelService(command, lambda fraction: True, renderer)
    wrong, n_tokens, began = 0, 0, time.perf_counter()
    for name, schema, asked in (
        ("person", PERSON, "Describe a person as JSON."),
        ("poem", POEM, "Write a short poem about {} as JSON."),
    ):
        subjects = ("rain", "a cat", "the sea", "bread", "snow", "a train")
        for seed in range(n_each):
            sampling = SamplingParams(seed=seed, json_schema=json.dumps(schema), max_tokens=400)
            prompt = asked.format(subjects[seed % len(subjects)])
            reply = host.submit(Generate(seed + 1, (ChatMessage(Role.USER, prompt),), sampling), 0.0)
            (scheduler,) = host.schedulers
            while not any(isinstance(each, Finished) for each in scheduler.step()):
                pass
            eog, pieces = host.loaded.model.vocab.eog, host.loaded.model.vocab.pieces
            tokens = [token for token in reply.sequence.generated if token not in eog]
            n_tokens += len(tokens)
            text = b"".join(pieces[token] for token in tokens).decode()
            try:
                Draft202012Validator(schema).validate(json.loads(text))
            except Exception as error:
                wrong += 1
                print(f"WRONG {name} {seed}: {text!r}: {str(error).splitlines()[0]}")
    host.close()
    renderer.close()
    seconds = time.perf_counter() - began
    print(f"{2 * n_each} answers, {wrong} wrong (goal 0); {n_tokens} tokens in {seconds:.1f} s")
    return not wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("suite", "replies", "speed", "model"))
    parser.add_argument("file", nargs="?", type=Path, default=os.environ.get("TOKSCOPE_SCHEMA_SUITE"))
    parser.add_argument("-m", "--model", type=Path)
    parser.add_argument("-n", type=int, default=0, help="how many of each")
    given = parser.parse_args()
    np.seterr(all="raise")
    match given.part:
        case "suite":
            if not given.file:
                parser.error("give the file of the test suite")
            good = suite(Path(given.file))
        case "replies":
            good = replies(given.n or 10)
        case "speed":
            good = speed()
        case _:
            good = model(given.model, given.n or 24)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
