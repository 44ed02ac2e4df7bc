"""Whatever is drawn inside a schema is JSON and valid, as an independent validator sees it."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from app.engine.core.backend import SamplingError
from tests.fakes.byte_vocab import ByteVocab, matcher
from tests.fakes.random_reply import random_reply
from tests.fakes.schemas import KINDS, PYDANTIC

MODELS = {name: schema for name, schema in PYDANTIC.items() if name != "sets"}


@pytest.mark.parametrize("schema", [*KINDS.values(), *MODELS.values()], ids=[*KINDS, *(f"model {k}" for k in MODELS)])
def test_a_random_reply_is_valid(schema: Any) -> None:
    start, validator, random = matcher(json_schema=schema), Draft202012Validator(schema), Random(1)
    replies = [reply for _ in range(3) if (reply := random_reply(start, ByteVocab.eog, random))]
    assert replies
    for reply in replies:
        validator.validate(json.loads(reply))


def test_a_set_is_refused_with_its_place() -> None:
    with pytest.raises(SamplingError, match="at /properties/tags/uniqueItems"):
        matcher(json_schema=PYDANTIC["sets"])
