"""Answers with a form: printed without the thinking before them, and what cut one off is said everywhere."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from app.domain.generation import FinishReason
from tests.fakes.engine_events import make_token
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Reply, reply

pytestmark = pytest.mark.usefixtures("model")

CUT = "the answer is incomplete: `max_tokens` was reached"


def cut_off() -> Reply:
    return Reply(pieces=('{"a":', " 1"), finish=FinishReason.LENGTH, incomplete=True)


def thinking() -> Reply:
    said = ("plan it", "</think>", '{"a":', "true}")
    tokens = [msgspec.structs.replace(make_token(text, i), thinking=i < 2) for i, text in enumerate(said)]
    return Reply(tokens=tokens)


def test_an_answer_that_is_cut_off_says_so_and_ends_as_before(tok) -> None:
    outcome = tok("ask", "x", "--json-mode", engine=ScriptedEngine([cut_off()]))
    assert (outcome.code, outcome.out) == (0, '{"a": 1\n')
    assert outcome.err.splitlines()[0] == f"tok: {CUT}"
    report = tok("ask", "x", "--json-mode", "--json", engine=ScriptedEngine([cut_off()])).json
    assert (report["finish_reason"], report["incomplete"]) == ("length", True)
    assert "incomplete" not in tok("ask", "x", "--json", engine=ScriptedEngine([reply("{}")])).json


def test_each_of_several_answers_says_so(tok) -> None:
    outcome = tok("ask", "x", "--json-mode", "-n", "2", engine=ScriptedEngine([reply("{}"), cut_off()]))
    assert [line for line in outcome.err.splitlines() if "incomplete" in line] == [f"tok: answer 2: {CUT}"]
    choices = tok("ask", "x", "-n", "2", "--json", engine=ScriptedEngine([cut_off(), reply("{}")])).json["choices"]
    assert [choice.get("incomplete") for choice in choices] == [True, None]


def test_a_batch_says_so(tok, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"prompt": "x", "json_schema": true}\n{"prompt": "y"}\n')
    engine = ScriptedEngine([cut_off(), reply("fine")])
    outcome = tok("batch", str(tmp_path / "in.jsonl"), "-o", "-", "--parallel", "1", engine=engine)
    first, second = map(json.loads, outcome.out.splitlines())
    assert (first["text"], first["finish_reason"], first["incomplete"]) == ('{"a": 1', "length", True)
    assert "incomplete" not in second
    assert f"tok: index 0: {CUT}" in outcome.err.splitlines()
    assert engine.requests[0].sampling.json_schema == "true"


@pytest.mark.parametrize("stream", [(), ("--no-stream",)])
def test_thinking_before_a_constrained_answer_is_not_printed(tok, stream: tuple[str, ...]) -> None:
    outcome = tok("ask", "x", "--json-mode", *stream, engine=ScriptedEngine([thinking()]))
    assert outcome.out == '{"a":true}\n'
    assert tok("ask", "x", *stream, engine=ScriptedEngine([thinking()])).out == '{"a":true}\n'


def test_nor_is_it_part_of_the_text_in_json_or_in_a_batch(tok, tmp_path: Path) -> None:
    report = tok("ask", "x", "--json-mode", "--json", "--logprobs", "0", engine=ScriptedEngine([thinking()])).json
    assert (report["text"], len(report["tokens"])) == ('{"a":true}', 5)
    lines = tok("ask", "x", "--json-mode", "--jsonl", engine=ScriptedEngine([thinking()])).out.splitlines()
    texts = [event["text"] for event in map(json.loads, lines) if event["event"] == "text"]
    assert "".join(texts) == '{"a":true}'
    (tmp_path / "in.jsonl").write_text('{"prompt": "x", "regex": ".*"}\n')
    outcome = tok("batch", str(tmp_path / "in.jsonl"), "-o", "-", engine=ScriptedEngine([thinking()]))
    assert json.loads(outcome.out)["text"] == '{"a":true}'
