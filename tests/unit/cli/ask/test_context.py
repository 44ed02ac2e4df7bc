"""A full context window is reported in every output format, and a batch has the policy of its preset."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.config.paths import config_file
from app.domain.generation import FinishReason
from tests.fakes.engine_events import make_finished
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Reply, reply

pytestmark = pytest.mark.usefixtures("model")

DROPPED = "tok: the context window is full: the 4 oldest messages (900 tokens) left out"
SHIFTED = "tok: the context window is full: 128 older tokens dropped while it was written"


def full(**how: object) -> Reply:
    return reply("fine then", **how)


@pytest.mark.parametrize(
    ("how", "said"), [({"trimmed": (4, 900)}, DROPPED), ({"n_shifted": 128}, SHIFTED)], ids=["dropped", "shifted"]
)
@pytest.mark.parametrize("n", ["1", "2"])
def test_people_are_reported_once(tok, how: dict[str, object], said: str, n: str) -> None:
    outcome = tok("ask", "hi", "-n", n, engine=ScriptedEngine([full(**how), full(**how)]))
    assert outcome.err.splitlines().count(said) == 1


def test_programs_are_reported(tok) -> None:
    engine = ScriptedEngine([full(trimmed=(4, 900), n_shifted=128), full()])
    assert json.loads(tok("ask", "hi", "--json", engine=engine).out)["context"] == {
        "n_dropped_messages": 4,
        "n_dropped_tokens": 900,
        "n_shifted_tokens": 128,
    }
    assert "context" not in json.loads(tok("ask", "hi", "--json", engine=engine).out)


def test_events_show_it_when_it_happens(tok) -> None:
    out = tok("ask", "hi", "--jsonl", engine=ScriptedEngine([full(trimmed=(4, 900), n_shifted=128)])).out
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in events][:2] == ["trimmed", "started"]
    assert events[0] == {"event": "trimmed", "n_messages": 4, "n_tokens": 900}
    (shifted,) = (event for event in events if event["event"] == "shifted")
    assert (shifted["n_discarded"], set(shifted)) == (128, {"event", "n_kept", "n_discarded"})


def test_a_batch_has_the_policy_of_its_preset_and_saves_no_state(tok, tmp_path: Path) -> None:
    config_file().parent.mkdir(parents=True, exist_ok=True)
    config_file().write_text('[presets.long]\ncontext = "shift"\n')
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"prompt": "a"}\n')
    engine = ScriptedEngine([full(trimmed=(4, 900))])
    outcome = tok("batch", str(source), "-o", str(output), "-p", "long", engine=engine)
    assert outcome.code == 0
    (request,) = engine.requests
    assert (request.context_policy, request.cacheable) == ("shift", False)
    assert "tok: index 0: the context window is full: the 4 oldest messages (900 tokens) left out" in outcome.err


def test_a_question_that_does_not_fit_leaves_the_conversation_as_it_was(tok, monkeypatch) -> None:
    tok("ask", "one", engine=ScriptedEngine(["first"]))
    engine = ScriptedEngine()

    async def refusing(command):
        yield make_finished(command.request_id, FinishReason.CONTEXT, n_prompt=9000, error="too long")

    with monkeypatch.context() as patch:
        patch.setattr(engine, "generate", refusing)
        outcome = tok("ask", "whales " * 9, "-c", "--json", engine=engine)
    assert (outcome.code, outcome.json["finish_reason"]) == (1, "context")
    error = outcome.json["error"]
    assert error["message"] == "the prompt is too long: 9000 tokens, the context window holds 8192"
    assert error["hint"].startswith("the conversation is unchanged; shorten it, or raise `n_ctx` in models.toml")
    engine = ScriptedEngine(["second"])
    assert tok("ask", "two", "-c", engine=engine).out == "second\n"
    assert [message.content for message in engine.requests[0].messages] == ["one", "first", "two"]


def test_a_first_question_that_does_not_fit_is_not_kept(tok, monkeypatch) -> None:
    engine = ScriptedEngine()

    async def refusing(command):
        yield make_finished(command.request_id, FinishReason.CONTEXT, n_prompt=9000, error="too long")

    monkeypatch.setattr(engine, "generate", refusing)
    outcome = tok("ask", "whales", engine=engine)
    assert (outcome.code, outcome.out) == (1, "")
    assert "the conversation is as it was" not in outcome.err
    assert tok("history", "--json").json == []


def test_a_prompt_that_was_refused_before_it_was_counted_is_reported_in_the_engines_words(tok, monkeypatch) -> None:
    engine, least = ScriptedEngine(), "the prompt has at least 9000 tokens, the context window holds 8192"

    async def refusing(command):
        yield make_finished(command.request_id, FinishReason.CONTEXT, n_prompt=0, error=least)

    monkeypatch.setattr(engine, "generate", refusing)
    assert f"tok: the prompt is too long: {least}\n" in tok("ask", "whales", engine=engine).err
