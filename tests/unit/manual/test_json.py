"""Every JSON Schema of the manual holds for what the commands really print."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from app.manual import read_topic
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Reply
from tests.unit.cli.conftest import Tok, model, tok

__all__ = ["model", "tok"]

pytestmark = pytest.mark.usefixtures("model")

SCHEMAS: dict[str, Any] = {
    schema["$id"]: schema for schema in map(json.loads, re.findall(r"```json\n(.*?)```", read_topic("json"), re.DOTALL))
}
REGISTRY = Registry().with_resources(
    (name, Resource.from_contents(schema, DRAFT202012)) for name, schema in SCHEMAS.items()
)
SHARED = {"usage", "timings", "error", "candidate", "token"}


def holds(name: str, value: object) -> None:
    """Raises jsonschema's ValidationError where `value` is not as the manual says."""
    Draft202012Validator(SCHEMAS[name], registry=REGISTRY).validate(value)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])


def test_an_answer(tok: Tok) -> None:
    holds("ask", tok("ask", "Hi", "--json", "--logprobs", "3", engine=ScriptedEngine(["Hello there."])).json)
    holds("ask", tok("ask", "Hi", "--json", "--trace-stages", engine=ScriptedEngine(["Hello there."])).json)
    refused = tok("ask", "Hi", "-m", "/nowhere.gguf", "--json").json
    holds("error", refused["error"])


def test_events_of_an_answer(tok: Tok) -> None:
    lines = tok("ask", "Hi", "--jsonl", "--logprobs", "3", engine=ScriptedEngine(["Hello there."])).lines
    assert {"started", "prefill", "text", "token", "finished"} <= {line["event"] for line in lines}
    for line in lines:
        holds("ask-event", line)


def test_several_answers(tok: Tok) -> None:
    engine = ScriptedEngine([Reply(pieces=("One.",)), Reply(pieces=("Two.",))])
    holds("ask-many", tok("ask", "Hi", "-n", "2", "--json", engine=engine).json)


def test_a_batch(tok: Tok, tmp_path: Path) -> None:
    lines = [{"prompt": "Hi", "id": "a"}, {"messages": [{"role": "user", "content": "Hi"}]}, {"prompt": 7}]
    for line in lines[:2]:
        holds("batch-in", line)
    given, answers = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    given.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    tok("batch", str(given), "-o", str(answers), engine=ScriptedEngine(["One.", "Two."]))
    results = [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]
    assert len(results) == 3
    for result in results:
        holds("batch-out", result)


@pytest.mark.parametrize("command", ["next", "inspect", "tokenize"])
def test_questions_that_generate_nothing(tok: Tok, command: str) -> None:
    holds(command, tok(command, "Hello there", "--json").json)


def test_the_history(tok: Tok) -> None:
    tok("ask", "Hi", engine=ScriptedEngine(["Hello."]))
    rows = tok("history", "--json").json
    assert len(rows) == 1
    holds("history", rows)
    holds("history-hits", tok("history", "search", "hello", "--json").json)
    holds("history-stats", tok("history", "stats", "--json").json)
    holds("history-check", tok("history", "check", "--json").json)
    holds("history-show", tok("history", "show", "1", "--json").json)


def test_an_export_of_the_history(tok: Tok, tmp_path: Path) -> None:
    tok("ask", "Hi", engine=ScriptedEngine(["Hello."]))
    file = tmp_path / "all.json"
    holds("history-export-report", tok("history", "export", "--all", "-o", str(file), "--json").json)
    document = json.loads(file.read_text(encoding="utf-8"))
    holds("history-file", document)
    for message in document["conversations"][0]["messages"]:
        holds("history-message", message)
    holds("history-import-report", tok("history", "import", str(file), "--json").json)


def test_a_trace(tok: Tok, tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    tok("trace", "Hi", "-o", str(file), engine=ScriptedEngine(["Hello there."]))
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert {"header", "token", "end"} <= {line["event"] for line in lines}
    for line in lines:
        holds("trace-line", line)


def test_every_schema_is_held_against_real_output() -> None:
    held = set(re.findall(r'holds\(\s*"([a-z-]+)"', Path(__file__).read_text(encoding="utf-8")))
    held |= {"next", "inspect", "tokenize"}
    assert set(SCHEMAS) - SHARED - held == set()
