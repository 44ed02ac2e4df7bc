"""Whatever JSON a server sends, a reply ends with events or a StreamError, never with another exception."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.trace import ReplyTrace, TokenTrace
from app.protocol.codec import encode
from app.protocol.events import TokensGenerated
from app.remote.chunks import read_chunk
from app.remote.errors import StreamError
from app.remote.payloads import PayloadReader
from app.remote.reply import RemoteReply
from app.store.traces import pack

NAMES = st.sampled_from(
    [
        *("choices", "delta", "message", "content", "text", "reasoning", "finish_reason", "stop_reason", "usage"),
        *("prompt_tokens", "completion_tokens", "prompt_tokens_details", "cached_tokens", "timings", "prompt_n"),
        *("predicted_n", "predicted_ms", "prompt_progress", "total", "processed", "time_ms", "logprobs", "token"),
        *("logprob", "bytes", "top_logprobs", "id", "done", "eval_count", "eval_duration", "draft_n", "error"),
    ]
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(st.characters(codec=None), max_size=6),
    st.sampled_from(["stop", "length", "\ud800", "é"]),
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=20
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=6)


@settings(max_examples=100, deadline=None)
@given(st.lists(OBJECTS, max_size=5))
def test_any_json_is_taken(objects: list[dict[str, Any]]) -> None:
    reply = RemoteReply(1, 7, 100, lambda: 0.0)
    try:
        for each in objects:
            for event in reply.take(read_chunk(each)):
                if isinstance(event, TokensGenerated):
                    (event.text + event.reasoning).encode()
                    encode(event)
    except StreamError as error:
        str(error).encode()
    encode(reply.end())


NASTY = [
    None,
    True,
    -1,
    2**40,
    2**70,
    10**400,
    -(10**400),
    1e308,
    math.nan,
    math.inf,
    -math.inf,
    1000.0,
    "x",
    "\ud800",
    [],
    {},
    [300, -1],
    [None],
]
TOKEN = {"token": "a", "logprob": -0.5, "bytes": [97], "id": 5}
WHOLE = {
    "choices": [
        {
            "delta": {"content": "a", "reasoning": ""},
            "finish_reason": None,
            "stop_reason": None,
            "logprobs": {"content": [TOKEN | {"top_logprobs": [TOKEN]}]},
        }
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 8}},
    "timings": {"cache_n": 8, "prompt_n": 1, "prompt_ms": 1.0, "predicted_n": 1, "predicted_ms": 1.0, "draft_n": 1},
    "prompt_progress": {"total": 9, "cache": 8, "processed": 9, "time_ms": 1},
}


def spoiled(value: Any, nasty: Any) -> Iterator[Any]:
    """Yields `value` with `nasty` in place of each of its parts in turn."""
    yield nasty
    if isinstance(value, dict):
        for name, part in value.items():
            yield from (value | {name: each} for each in spoiled(part, nasty))
    elif isinstance(value, list):
        for part in value:
            yield from ([each] for each in spoiled(part, nasty))


@pytest.mark.parametrize("nasty", NASTY, ids=lambda value: repr(value)[:12])
def test_a_wrong_value_in_any_place_is_taken(nasty: Any) -> None:
    for each in (each for each in spoiled(WHOLE, nasty) if isinstance(each, dict)):
        reply, tokens = RemoteReply(1, 7, 100, lambda: 0.0), list[TokenTrace]()
        for event in reply.take(read_chunk(each)):
            encode(event)
            if isinstance(event, TokensGenerated):
                tokens += event.tokens
        encode(reply.end())
        assert all(0 <= token.p <= 1 for token in tokens)
        assert pack(ReplyTrace(tokens=tuple(tokens)))


@settings(max_examples=100, deadline=None)
@given(st.lists(OBJECTS, max_size=4), st.integers(1, 9), st.sampled_from(["data: {}\n\n", "{}\n", "data:{}\r\r"]))
def test_any_stream_is_taken(objects: list[dict[str, Any]], size: int, form: str) -> None:
    body = "".join(form.replace("{}", json.dumps(each)) for each in objects).encode()
    reader, found = PayloadReader(), list[Any]()
    try:
        for start in range(0, len(body), size):
            found += reader.feed(body[start : start + size])
        found += reader.close()
    except StreamError:
        return
    assert len(found) <= len(objects)
