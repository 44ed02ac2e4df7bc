"""What is read back of a trace, and how a bad file is reported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.cli.trace.reader import read_trace
from app.domain.errors import UsageError
from app.domain.generation import FinishReason
from app.protocol.commands import ChatMessage
from app.protocol.events import (
    ContextTrimmed,
    GenerationFinished,
    GenerationStarted,
    PrefillProgress,
    PromptRendered,
    TokensGenerated,
)
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import reply


@pytest.fixture
def path(tok, model, tmp_path: Path) -> Path:
    path = tmp_path / "run.jsonl"
    script = reply("Grüße aus Köln", trimmed=(2, 30))
    assert tok("trace", "Sag was", "-o", str(path), engine=ScriptedEngine([script])).code == 0
    return path


def test_a_whole_trace_comes_back(path: Path) -> None:
    recording = read_trace(path)
    assert [type(event) for _, event in recording.events] == [
        ContextTrimmed,
        GenerationStarted,
        PromptRendered,
        PrefillProgress,
        *[TokensGenerated] * 4,
        GenerationFinished,
    ]
    assert [at_ms for at_ms, _ in recording.events] == [0, 0, 0, 20, 30, 40, 50, 60, 60]
    assert recording.text == "Grüße aus Köln"
    assert [token.text for token in recording.tokens] == ["Grüße", " aus", " Köln", "<|im_end|>"]
    assert recording.messages[-1] == ChatMessage(recording.messages[-1].role, "Sag was")
    assert (recording.started.seed, recording.preset, recording.cut_at) == (42, "balanced", None)
    assert recording.finished is not None
    assert recording.finished.finish_reason is FinishReason.STOP
    trace = recording.trace()
    assert (len(trace.tokens), trace.prompt, trace.seed) == (4, recording.prompt, 42)


def test_a_header_with_the_facts_of_llama_cpp_in_ready_itself_is_read(path: Path) -> None:
    """As they were written until the facts became a struct of their own."""
    recording = read_trace(path)
    first, *rest = path.read_bytes().split(b"\n")
    header = json.loads(first)
    ready = header["model"]["ready"]
    ready |= ready.pop("native")
    path.write_bytes(b"\n".join([json.dumps(header).encode(), *rest]))
    assert read_trace(path).model == recording.model
    assert recording.model.ready.native is not None


@pytest.mark.parametrize(
    ("change", "line", "message"),
    [
        (lambda data: b"", 1, "the file is empty"),
        (lambda data: b"hello\n", 1, "not a trace of tokscope"),
        (lambda data: b'{"event": "header"}\n', 1, "not a trace of tokscope"),
        (lambda data: b"\xff\xfe\x00\n" * 3, 1, "not a trace of tokscope"),
        (lambda data: b"[" * 100_000, 1, "not a trace of tokscope"),
        (lambda data: data.replace(b'"version":1', b'"version":9', 1), 1, "the trace has format version 9"),
        (
            lambda data: data.replace(b'"temperature":0.8', b'"temperature":-1', 1),
            1,
            "the header is wrong: Expected `float` >= 0.0 - at `$.sampling.temperature`",
        ),
        (lambda data: _line(data, 4, b"{"), 4, "not JSON"),
        (lambda data: _line(data, 4, b"[]"), 4, "not an object"),
        (lambda data: _line(data, 4, b'{"event":"token","at_ms":1}'), 4, "`at_ms` is 1, before it was 20.0"),
        (lambda data: _line(data, 4, b'{"event":"tokn","at_ms":30}'), 4, "unknown event 'tokn'"),
        (lambda data: _line(data, 4, b'{"event":"token","at_ms":30}'), 4, "`shown` is no text"),
        (
            lambda data: _line(data, 4, b'{"event":"token","at_ms":30,"shown":"","id":"1"}'),
            4,
            "`text` is missing",
        ),
        (lambda data: data + b"{}\n", 9, "there is data after the end of the trace"),
        (lambda data: data + b"{", 9, "there is data after the end of the trace"),
        (lambda data: data[:200], 1, "the trace is damaged: its header is incomplete"),
        (lambda data: data[:200] + b"\n" + data[200:], 1, "the trace is damaged: its header is incomplete"),
        (
            lambda data: _without_tokens(data, 4),
            4,
            "the trace is damaged: 0 of the 4 tokens in its last line are present",
        ),
        (
            lambda data: _without_tokens(data, 1),
            7,
            "the trace is damaged: 3 of the 4 tokens in its last line are present",
        ),
        (lambda data: data[:-20], 8, "the trace is incomplete: it has no end"),
        (lambda data: b"\n".join(data.split(b"\n")[:5]), 6, "the trace is incomplete: it has no end"),
    ],
)
def test_a_bad_file_is_reported_with_its_line(path: Path, change, line: int, message: str) -> None:
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(UsageError) as caught:
        read_trace(path)
    assert str(caught.value) == f"{path}:{line}: {message}"


def _line(data: bytes, number: int, line: bytes) -> bytes:
    lines = data.split(b"\n")
    return b"\n".join([*lines[: number - 1], line, *lines[number:]])


def _without_tokens(data: bytes, n: int) -> bytes:
    lines = data.split(b"\n")
    tokens = [line for line in lines if line.startswith(b'{"event":"token"')][:n]
    return b"\n".join(line for line in lines if line not in tokens)


def test_what_is_there_of_a_damaged_trace_can_be_taken(path: Path) -> None:
    path.write_bytes(_without_tokens(path.read_bytes(), 1))
    recording = read_trace(path, partial=True)
    assert ([token.text for token in recording.tokens], recording.cut_at) == ([" aus", " Köln", "<|im_end|>"], None)


def test_what_is_there_of_a_cut_trace_can_be_taken(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(b"\n".join(data.split(b"\n")[:5]) + b'\n{"event":"tok')
    recording = read_trace(path, partial=True)
    assert (recording.text, recording.cut_at, recording.finished) == ("Grüße aus", 6, None)


def test_a_last_line_without_its_newline_is_whole(path: Path) -> None:
    path.write_bytes(path.read_bytes().rstrip())
    assert read_trace(path).cut_at is None


def test_a_file_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*no\.jsonl: No such file or directory"):
        read_trace(tmp_path / "no.jsonl")
