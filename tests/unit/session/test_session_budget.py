"""What a message takes where all of it is too much to count: the part that is sent in any case, as a lower bound."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from app.domain.conversation import Message, Role, UserMessage
from app.domain.generation import ContextPolicy
from app.protocol.events import Tokenized
from app.session.budget import MAX_CHARS, budget_of
from tests.fakes.scripted_core import ScriptedCore
from tests.fakes.scripted_engine import ScriptedEngine
from tests.unit.session.session_helpers import PRESET

BARE = replace(PRESET, system=None)


def said(*contents: str) -> list[Message]:
    roles = (Role.USER, Role.ASSISTANT)
    return [
        Message(id=n, conversation_id=1, parent_id=n - 1 or None, role=roles[(n - 1) % 2], content=text, created_ms=0)
        for n, text in enumerate(contents, 1)
    ]


async def test_a_text_within_the_bound_is_counted_whole():
    engine = ScriptedEngine()
    budget = await budget_of(engine, PRESET, [], UserMessage("word " * 100))
    assert budget
    assert (budget.at_least, budget.n_message) == (False, 107)


async def test_a_text_that_alone_is_beyond_it_is_counted_to_the_bound():
    engine = ScriptedEngine()
    budget = await budget_of(engine, PRESET, said("q", "a"), UserMessage("word " * 100_000))
    assert budget
    assert (budget.at_least, budget.n_prompt, budget.refused) == (True, 40_000, True)
    assert [len(each.content) for each in engine.tokenized[0].messages] == [MAX_CHARS]


@pytest.mark.parametrize(
    ("policy", "counted"), [("stop", ["second", "a", "now"]), ("drop-oldest-turns", ["now"]), ("shift", ["now"])]
)
async def test_of_a_long_conversation_what_is_sent_in_any_case_is_counted(policy: ContextPolicy, counted: list[str]):
    engine = ScriptedEngine()
    branch = said("x" * MAX_CHARS, "reply", "second", "a")
    budget = await budget_of(engine, replace(BARE, context=policy), branch, UserMessage("now"))
    assert budget
    assert budget.at_least
    asked = engine.tokenized[0]
    assert ([each.content for each in asked.messages], asked.context_policy) == (counted, "stop")


async def test_what_the_engine_knows_to_be_too_long_without_counting_is_a_lower_bound_too(monkeypatch):
    engine = ScriptedEngine()

    async def refusing(command):
        return Tokenized(command.request_id, error="the prompt has at least 9876 tokens", n_least=9876)

    monkeypatch.setattr(engine, "tokenize", refusing)
    budget = await budget_of(engine, PRESET, [], UserMessage("word " * 30_000))
    assert budget
    assert (budget.at_least, budget.n_prompt, budget.refused) == (True, 9_800, True)


async def test_an_engine_that_cannot_count_gives_no_budget() -> None:
    assert await budget_of(ScriptedCore(), PRESET, [], UserMessage("hello")) is None
