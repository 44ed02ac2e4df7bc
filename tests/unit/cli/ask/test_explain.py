"""`tok explain`: the story in general, and with the figures of a reply."""

from __future__ import annotations

import pytest

from app.domain.generation import PromptSpans
from tests.fakes.engine_events import make_token
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Reply, reply


def words(text: str) -> str:
    return " ".join(text.split())


def test_without_a_prompt_no_engine_is_asked(tok) -> None:
    engine = ScriptedEngine()
    outcome = tok("explain", engine=engine)
    assert (outcome.code, outcome.err, engine.loads) == (0, "", [])
    assert outcome.out.startswith("The loop: five steps\n1 Input processing. The conversation is cut into tokens")
    assert "\n\nWhat makes it fast: three tricks\nKV-cache. " in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 80


@pytest.mark.parametrize("options", [("-m", "x"), ("-p", "precise"), ("--temperature", "1"), ("--speculate",)])
def test_options_without_a_prompt_are_a_mistake(tok, options) -> None:
    outcome = tok("explain", *options)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == "tok: these options need a PROMPT\nhint: give a question for the model\n"


@pytest.mark.usefixtures("model")
def test_with_a_prompt_the_answer_comes_first_and_its_figures_are_reported(tok) -> None:
    engine = ScriptedEngine([reply("Rain falls.", n_prompt=40, n_cached=30, spans=PromptSpans(10, 20, 10))])
    outcome = tok("explain", "Why?", "--temperature", "0", engine=engine)
    assert (outcome.code, outcome.err) == (0, "")
    answer, _, reported = outcome.out.partition("\n\n")
    assert answer == "Rain falls."
    reported = words(reported)
    assert 'The conversation was cut into 40 tokens such as " p35"' in reported
    assert "10 new ones were computed in 10.0 ms, 30 came from the cache" in reported
    assert 'The temperature is 0, so the most likely token is always taken. This reply began with "Rain"' in reported
    assert (
        "This was done 3 times, 10.0 ms per token. Then the reply ended – stopped: end of turn <|im_end|>." in reported
    )
    assert "Here 30 of 40 prompt tokens were in the cache." in reported
    assert [(request.include_prompt, request.trace_top_k) for request in engine.requests] == [(True, 10)]


@pytest.mark.usefixtures("model")
def test_a_lost_engine_is_reported_with_the_figures_so_far(tok) -> None:
    engine = ScriptedEngine([Reply(tokens=[make_token("One"), make_token(" two")], dies_after=1)])
    outcome = tok("explain", "Why?", engine=engine)
    assert outcome.code == 5
    assert "Then the reply ended – engine lost: killed by SIGKILL." in words(outcome.out)
    assert "killed by SIGKILL" in outcome.err


@pytest.mark.usefixtures("model")
def test_without_a_single_token_there_is_no_story(tok) -> None:
    engine = ScriptedEngine([Reply(tokens=[make_token("One")], dies_after=0)])
    outcome = tok("explain", "Why?", engine=engine)
    assert (outcome.code, outcome.out.strip()) == (5, "")


def test_an_empty_prompt_is_a_mistake(tok, model) -> None:
    outcome = tok("explain", "")
    assert outcome.code == 2
