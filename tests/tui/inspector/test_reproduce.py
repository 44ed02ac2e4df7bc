"""The command that writes a reply again, word by word."""

import json
import shlex

import pytest
from msgspec.structs import replace

from app.domain.conversation import ChatSettings, Message, Role
from app.domain.sampling import Preset, SamplingParams
from app.domain.trace import Origin, ReplyTrace
from app.tui.inspector.reproduce import command_of
from tests.fakes.engine_events import make_token

SETTINGS = ChatSettings(model="/models/a b.gguf", preset=Preset(name="mine"), system="Be short.")
PLAIN = SamplingParams(temperature=0.8, top_k=0, top_p=0.95, min_p=0.0, samplers=("temperature", "top-p"))


def said(*texts: str) -> list[Message]:
    roles = (Role.USER, Role.ASSISTANT)
    return [
        Message(id=i, conversation_id=1, parent_id=None, role=roles[i % 2], content=text, created_ms=0)
        for i, text in enumerate(texts)
    ]


def trace(**sampling: object) -> ReplyTrace:
    params = replace(PLAIN, **sampling)
    return ReplyTrace(tokens=(make_token("a"),), seed=7, sampling=params)


def test_the_first_reply_is_asked_for_with_every_value_that_differs() -> None:
    made = trace(
        temperature=0.5, top_k=20, stop=("a b", "c"), logit_bias={" red": 2.5}, samplers=("top-k", "temperature")
    )
    command, unsupported_reason = command_of(said("What's up?"), made, SETTINGS)
    assert unsupported_reason == ""
    assert shlex.split(command) == [
        *("tok", "ask", "-p", "plain", "-m", "/models/a b.gguf", "-s", "Be short."),
        *("--temperature", "0.5", "--top-k", "20", "--samplers", "top-k,temperature", "--bias", " red=2.5"),
        *("--exact", "--seed", "7", "--stop", "a b", "--stop", "c", "--", "What's up?"),
    ]


def test_a_later_reply_is_a_line_of_a_batch() -> None:
    command, unsupported_reason = command_of(said("One?", "It's 1.", "Two?"), trace(min_p=0.1), SETTINGS)
    assert unsupported_reason == ""
    printf, _, line, bar, *rest = shlex.split(command)
    assert (printf, bar, rest) == (
        "printf",
        "|",
        ["tok", "batch", "-", "-o", "-", "-p", "plain", "-m", "/models/a b.gguf"],
    )
    assert json.loads(line) == {
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "One?"},
            {"role": "assistant", "content": "It's 1."},
            {"role": "user", "content": "Two?"},
        ],
        "min_p": 0.1,
        "exact": True,
        "seed": 7,
    }


def test_a_schema_is_given_as_a_file() -> None:
    command, _ = command_of(said("x"), trace(json_schema='{"type": "array"}'), SETTINGS)
    assert """--schema <(printf %s '{"type": "array"}')""" in command


@pytest.mark.parametrize(
    ("made", "before", "why"),
    [
        (replace(trace(), n_kept=1), said("x"), "it continues another reply's tokens"),
        (replace(trace(), tokens=(replace(make_token("a"), origin=Origin.FORCED),)), said("x"), "forced by hand"),
        (trace(lark="start: A"), said("x"), "Lark"),
        (trace(), [], "its prompt is unknown"),
    ],
)
def test_what_no_command_can_write_again_says_why(made: ReplyTrace, before: list[Message], why: str) -> None:
    command, unsupported_reason = command_of(before, made, SETTINGS)
    assert command == ""
    assert why in unsupported_reason
