"""A request's grammar is compiled beside the loop: a wrong one ends its request alone, an abort is answered at once."""

from __future__ import annotations

import asyncio
import json

import pytest

from app.domain.generation import FinishReason
from app.domain.model import LoadOptions
from app.domain.sampling import SamplingParams
from app.protocol.commands import LoadModel, Predict
from app.protocol.events import GenerationFinished, GenerationStarted, TokensGenerated
from tests.fakes.smollm2 import smollm2_path
from tests.process.streams import ask, collect, load, question

pytestmark = pytest.mark.model

SMALL = LoadModel(str(smollm2_path()), LoadOptions(n_ctx=512, n_slots=2))


def said(events: list[object]) -> str:
    return "".join(event.text for event in events if isinstance(event, TokensGenerated))


async def test_constrained_requests_of_every_kind_are_served_and_wrong_ones_fail_alone(client) -> None:
    await load(client, SMALL)
    wrong, right, plain = await asyncio.gather(
        ask(client, json_schema='{"items": {"uniqueItems": true}}', max_tokens=4),
        ask(client, regex="(red|blue)!", max_tokens=8),
        ask(client, max_tokens=2),
    )
    (failed,) = wrong
    assert isinstance(failed, GenerationFinished)
    assert failed.finish_reason is FinishReason.ERROR
    assert failed.error == (
        "the JSON schema cannot be used at /items/uniqueItems: `uniqueItems` is not supported; "
        "--schema-lenient ignores it"
    )
    assert said(right) in ("red!", "blue!")
    assert right[-1].finish_reason is FinishReason.STOP
    assert plain[-1].finish_reason is FinishReason.LENGTH

    cut = await ask(client, json_schema='{"type": "object", "minProperties": 1}', max_tokens=1)
    assert (cut[-1].finish_reason, cut[-1].incomplete) == (FinishReason.LENGTH, True)
    lenient = await ask(client, json_schema='{"contains": {}, "uniqueItems": true}', schema_lenient=True, max_tokens=1)
    (started,) = (event for event in lenient if isinstance(event, GenerationStarted))
    assert started.notices == ("ignored in the JSON schema: /uniqueItems (`uniqueItems` is not supported)",)
    foreseen = await client.predict(
        Predict(client.next_request_id(), (), SamplingParams(lark='start: "no"\n', temperature=0), 3, "Well,")
    )
    assert foreseen.prediction.after[0].text in ("n", "no")
    assert foreseen.prediction.stages[0].name == "grammar"
    refused = await client.predict(
        Predict(client.next_request_id(), (), SamplingParams(json_schema='{"uniqueItems": true}'), 3, "Well,")
    )
    assert "at /uniqueItems" in refused.error


async def test_an_abort_while_a_grammar_is_compiled_is_answered_and_others_are_served(client) -> None:
    await load(client, SMALL)
    # The first one builds the vocabulary's trie and has a long list: half a second.
    slow = question(client, json_schema=json.dumps({"enum": [f"text {i * 7919}" for i in range(9000)]}), max_tokens=4)
    stream = asyncio.create_task(collect(client.generate(slow)))
    await asyncio.sleep(0)  # the request is sent
    client.abort(slow.request_id)
    events = await stream
    assert events[-1].finish_reason is FinishReason.ABORT
    assert said(await ask(client, regex="yes", max_tokens=4)) == "yes"
