"""`tok ask` with a model that thinks: the answer alone, both with --show-thinking, `reasoning` in JSON."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from app.cli.ask.answer import Answer
from app.domain.generation import FinishReason
from app.protocol.events import TokensGenerated
from tests.fakes.engine_events import make_token
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Reply, reply

pytestmark = pytest.mark.usefixtures("model")

THOUGHT = ("<think>", "so ", "it is", "</think>")


def thinking(*answer: str, finish: FinishReason = FinishReason.STOP) -> Reply:
    said = (*THOUGHT, *answer)
    tokens = [msgspec.structs.replace(make_token(text, i), thinking=i < len(THOUGHT)) for i, text in enumerate(said)]
    return Reply(tokens=tokens, finish=finish)


def engine(*answer: str, finish: FinishReason = FinishReason.STOP) -> ScriptedEngine:
    return ScriptedEngine([thinking(*answer, finish=finish)])


@pytest.mark.parametrize("stream", [(), ("--no-stream",)])
def test_plain_text_is_the_answer_and_both_on_request(tok, stream: tuple[str, ...]) -> None:
    assert tok("ask", "x", *stream, engine=engine("wet", " rain")).out == "wet rain\n"
    shown = tok("ask", "x", "--show-thinking", *stream, engine=engine("wet", " rain"))
    assert shown.out == "<think>so it is</think>wet rain\n"


def test_several_answers_are_printed_the_same_way(tok) -> None:
    both = [thinking("a"), reply("b")]
    assert "think" not in tok("ask", "x", "-n", "2", engine=ScriptedEngine(both)).out
    assert "<think>so it is</think>a" in tok("ask", "x", "-n", "2", "--show-thinking", engine=ScriptedEngine(both)).out


def test_json_has_the_reasoning_beside_the_text(tok) -> None:
    report = tok("ask", "x", "--json", engine=engine("wet", " rain")).json
    assert (report["text"], report["reasoning"]) == ("wet rain", "so it is")
    assert report["usage"]["n_reasoning"] == 4
    assert report["timings"]["reasoning_ms"] == pytest.approx(3 * make_token("a").ms)
    plain = tok("ask", "x", "--json", engine=ScriptedEngine([reply("rain")])).json
    assert (plain["reasoning"], plain["usage"]["n_reasoning"], plain["timings"]["reasoning_ms"]) == ("", 0, 0.0)


def test_jsonl_events_sum_to_both(tok) -> None:
    events = [json.loads(line) for line in tok("ask", "x", "--jsonl", engine=engine("wet", " rain")).out.splitlines()]
    for name, whole in {"reasoning": "so it is", "text": "wet rain"}.items():
        assert "".join(event["text"] for event in events if event["event"] == name) == whole
    assert (events[-1]["reasoning"], events[-1]["text"]) == ("so it is", "wet rain")


def test_thinking_that_a_server_sends_apart_is_reasoning_too() -> None:
    answer = Answer("m", "p")
    answer.take(TokensGenerated(1, "", (), reasoning="so "))
    answer.take(TokensGenerated(1, "", (), reasoning="it is"))
    answer.take(TokensGenerated(1, "wet", ()))
    assert (answer.reasoning, answer.text) == ("so it is", "wet")


def test_a_batch_has_it_too(tok, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"prompt": "x"}\n')
    line = json.loads(tok("batch", str(tmp_path / "in.jsonl"), "-o", "-", engine=engine("wet")).out)
    assert (line["text"], line["reasoning"]) == ("wet", "so it is")


def test_a_reply_that_ends_while_it_thinks_says_so(tok) -> None:
    outcome = tok("ask", "x", engine=engine(finish=FinishReason.LENGTH))
    assert outcome.out == ""
    said = "tok: there is no answer: the reply ended after 4 tokens of thinking, `max_tokens` was reached"
    assert outcome.err.splitlines() == [said, "hint: raise --max-tokens"]


def test_statistics_show_the_thinking(tok) -> None:
    assert "thinking 4 tokens" in tok("ask", "x", "--stats", engine=engine("wet")).err


def test_the_option_is_for_plain_text(tok) -> None:
    outcome = tok("ask", "x", "--show-thinking", "--json", engine=engine("wet"))
    assert (outcome.code, "--show-thinking is for plain text" in outcome.out + outcome.err) == (2, True)
