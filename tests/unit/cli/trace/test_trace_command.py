"""`tok trace` and `tok ask --trace`: what the file holds, and what happens when it cannot be written."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from app.config.paths import database_file
from app.domain.generation import FinishReason
from app.protocol.events import LoadFailed
from tests.fakes.engine_events import BUILD
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Load, Reply, reply


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


def lines_of(path: Path) -> list[Any]:
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def test_the_header_says_what_was_run(tok, model, out) -> None:
    outcome = tok("trace", "Say hi", "-o", str(out), "-s", "Be brief.", "--temperature", "0.5", "--seed", "7")
    assert (outcome.code, outcome.out) == (0, "Hello from the scripted engine.\n")
    assert outcome.err == f"tok: 6 tokens traced in {out}\n"
    header = lines_of(out)[0]
    assert [header[key] for key in ("event", "format", "version")] == ["header", "tokscope-trace", 1]
    assert header["model"]["name"] == str(model)
    assert header["model"]["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert header["model"]["n_bytes"] == model.stat().st_size
    assert header["model"]["ready"]["path"] == "tiny.gguf"
    assert header["build"] == BUILD
    assert (header["preset"], header["seed"], header["n_cached"]) == ("balanced", 7, 0)
    assert (header["sampling"]["temperature"], header["sampling"]["seed"]) == (0.5, 7)
    assert header["messages"] == [
        {"role": "system", "content": "Be brief.", "attachments": [], "answer_at": 0},
        {"role": "user", "content": "Say hi", "attachments": [], "answer_at": 0},
    ]
    assert header["prompt"][:2] == [
        {"id": 1, "text": "<|im_start|>", "n_bytes": 12, "is_control": True},
        {"id": 301, "text": " p1", "n_bytes": 3, "is_control": False},
    ]
    assert len(header["prompt"]) == header["n_prompt"] == 20


@pytest.mark.usefixtures("model")
def test_each_token_is_a_line_with_its_time(tok, out) -> None:
    engine = ScriptedEngine([reply("Rain, hail.")])
    assert tok("trace", "x", "-o", str(out), "-k", "2", engine=engine).code == 0
    _, prefill, first, second, eog, end = lines_of(out)
    assert prefill == {"event": "prefill", "at_ms": 20.0, "n_done": 20, "n_total": 20, "ms": 20.0}
    assert [first[key] for key in ("event", "at_ms", "id", "text", "shown", "rank", "p")] == [
        "token",
        30.0,
        100,
        "Rain,",
        "Rain,",
        1,
        0.5,
    ]
    assert first["top"] == [{"id": 100, "text": "Rain,", "p": 0.5}, {"id": 1002, "text": " alt2", "p": 0.25}]
    assert [(line["at_ms"], line["shown"]) for line in (second, eog)] == [(40.0, " hail."), (50.0, "")]
    assert [end[key] for key in ("event", "at_ms", "finish_reason")] == ["end", 50.0, "stop"]
    assert end["stop"] == {"kind": "eog", "text": "<|im_end|>", "token_id": 2}
    assert end["usage"] == {"n_prompt": 20, "n_cached": 0, "n_generated": 3}
    assert end["timings"]["decode_ms"] == 20.0
    assert {"drafting", "cells"} <= end.keys()
    assert "request_id" not in end


@pytest.mark.usefixtures("model")
def test_the_request_asks_for_what_is_traced_and_nothing_is_kept(tok, out) -> None:
    engine = ScriptedEngine()
    assert tok("trace", "x", "-o", str(out), "--stages", "--exact", engine=engine).code == 0
    request = engine.requests[0]
    assert (request.trace_top_k, request.trace_stages, request.include_prompt) == (10, True, True)
    assert (request.sampling.exact, request.cacheable) == (True, False)
    assert not database_file().exists()


@pytest.mark.usefixtures("model")
def test_ask_writes_the_same_beside_its_answer_and_keeps_the_conversation(tok, out) -> None:
    outcome = tok("ask", "x", "--trace", str(out), "--json", engine=ScriptedEngine(["Rain"]))
    assert outcome.json["text"] == "Rain"
    assert "tokens" not in outcome.json
    assert [line["event"] for line in lines_of(out)] == ["header", "prefill", "token", "token", "end"]
    assert len(lines_of(out)[2]["top"]) == 10
    assert database_file().exists()


@pytest.mark.usefixtures("model")
def test_a_conversation_that_goes_on_is_in_the_header_whole(tok, out) -> None:
    tok("ask", "One?", engine=ScriptedEngine(["First."]))
    tok("ask", "Two?", "-c", "--trace", str(out), engine=ScriptedEngine(["Second."]))
    assert [each["content"] for each in lines_of(out)[0]["messages"]] == ["One?", "First.", "Two?"]


@pytest.mark.usefixtures("model")
def test_an_existing_file_stays_unless_it_may_be_replaced(tok, out) -> None:
    out.write_text("mine")
    engine = ScriptedEngine()
    outcome = tok("trace", "x", "-o", str(out), engine=engine)
    assert (outcome.code, outcome.err) == (
        2,
        f"tok: {out} exists already\nhint: use --overwrite to replace it\n",
    )
    assert (out.read_text(), engine.requests) == ("mine", [])
    assert tok("trace", "x", "-o", str(out), "--overwrite").code == 0
    assert lines_of(out)[-1]["event"] == "end"


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("flags", [[], ["--overwrite"]])
def test_a_run_that_never_begins_leaves_no_file_and_spares_an_old_one(tok, out, flags) -> None:
    if flags:
        out.write_text("mine")
    engine = ScriptedEngine(loads=[Load(outcome=LoadFailed("it is broken"))])
    assert tok("trace", "x", "-o", str(out), *flags, engine=engine).code == 4
    assert (out.read_text() == "mine") if flags else not out.exists()


@pytest.mark.usefixtures("model")
def test_a_full_disk_is_reported_and_the_answer_goes_on(tok) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    outcome = tok("ask", "x", "--trace", "/dev/full", engine=ScriptedEngine(["Rain falls."]))
    assert (outcome.code, outcome.out) == (1, "Rain falls.\n")
    assert outcome.err == (
        "tok: the trace ends here: cannot write /dev/full: No space left on device\n"
        "hint: the lines written so far are kept\n"
    )


@pytest.mark.usefixtures("model")
def test_a_folder_that_is_not_there_is_a_usage_error(tok, tmp_path) -> None:
    outcome = tok("trace", "x", "-o", str(tmp_path / "no" / "run.jsonl"))
    assert (outcome.code, outcome.err) == (2, f"tok: cannot write {tmp_path}/no/run.jsonl: No such file or directory\n")


@pytest.mark.usefixtures("model")
def test_standard_output_carries_the_lines_alone(tok) -> None:
    outcome = tok("trace", "x", "-o", "-", engine=ScriptedEngine(["Rain"]))
    assert [line["event"] for line in outcome.lines] == ["header", "prefill", "token", "token", "end"]
    assert outcome.err == "tok: 2 tokens traced in standard output\n"


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trace", "-"], "--trace needs a file"),
        (["--trace", "t.jsonl", "-n", "2"], "--trace takes one answer, not several"),
    ],
)
def test_what_ask_cannot_trace_is_a_usage_error(tok, arguments, message) -> None:
    outcome = tok("ask", "x", *arguments)
    assert (outcome.code, outcome.err.splitlines()[0]) == (2, f"tok: {message}")


@pytest.mark.usefixtures("model")
def test_a_lost_engine_ends_the_trace_with_the_reason(tok, out) -> None:
    engine = ScriptedEngine([Reply(pieces=("one", " two", " three"), dies_after=2)])
    assert tok("trace", "x", "-o", str(out), engine=engine).code == 5
    end = lines_of(out)[-1]
    assert [end[key] for key in ("event", "finish_reason", "error")] == [
        "end",
        "error",
        "the engine was lost: killed by SIGKILL",
    ]
    assert end["usage"]["n_generated"] == 2


@pytest.mark.usefixtures("model")
def test_what_the_window_lost_is_traced(tok, out) -> None:
    script = reply("one two", trimmed=(2, 30), n_shifted=100, finish=FinishReason.LENGTH)
    assert tok("trace", "x", "-o", str(out), engine=ScriptedEngine([script])).code == 0
    lines = lines_of(out)
    assert [line["event"] for line in lines] == ["header", "trimmed", "prefill", "token", "shifted", "token", "end"]
    assert (lines[1]["n_messages"], lines[1]["n_tokens"]) == (2, 30)
    assert (lines[4]["n_kept"], lines[4]["n_discarded"]) == (4, 100)
