"""What `tok ask` sends: the prompt and its additions, the preset and its overrides, the conversation."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path

import pytest

from app.cli.common.inputs import MAX_INPUT_BYTES
from app.config.paths import config_file
from app.protocol.codec import encode
from app.protocol.commands import Generate, LoadModel
from app.protocol.events import GenerationEvent, LoadEvent
from tests.fakes.engine_events import make_lost
from tests.fakes.scripted_engine import ScriptedEngine

pytestmark = pytest.mark.usefixtures("model")


@pytest.fixture
def pipe_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], None]]:
    """Makes bytes the standard input."""
    saved = os.dup(0)

    def become(data: bytes) -> None:
        source = tmp_path / "stdin"
        source.write_bytes(data)
        with source.open("rb") as stream:
            os.dup2(stream.fileno(), 0)
        monkeypatch.setattr(sys, "stdin", open(0, encoding="utf-8", closefd=False))  # noqa: SIM115 -- lives as long as fd 0

    yield become
    os.dup2(saved, 0)
    os.close(saved)


def roles(engine: ScriptedEngine) -> list[tuple[str, str]]:
    """The messages of the last request."""
    return [(message.role.value, message.content) for message in engine.requests[-1].messages]


def asked(tok, *arguments: str) -> str:
    engine = ScriptedEngine()
    outcome = tok("ask", *arguments, engine=engine)
    assert outcome.code == 0, outcome.err
    return roles(engine)[-1][1]


def test_standard_input_is_added_to_the_prompt(tok, pipe_in) -> None:
    pipe_in("hällo\r\nworld\n".encode())
    assert asked(tok, "Summarise:") == "Summarise:\n\nhällo\nworld"


def test_a_file_named_dash_is_standard_input_in_its_place(tok, pipe_in, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n")
    pipe_in(b"two\n")
    assert asked(tok, "Compare:", "-f", str(tmp_path / "a.txt"), "-f", "-") == "Compare:\n\n--- a.txt ---\none\n\ntwo"
    pipe_in(b"alone\n")
    assert asked(tok, "-f", "-") == "alone"


def test_standard_input_alone_is_a_prompt(tok, pipe_in) -> None:
    pipe_in(b"What is rain?\n")
    assert asked(tok) == "What is rain?"


def test_files_follow_under_their_names(tok, tmp_path: Path) -> None:
    for name in ("a.txt", "b.md"):
        (tmp_path / name).write_text(f"text of {name}\n")
    prompt = asked(tok, "Compare:", "-f", str(tmp_path / "a.txt"), "-f", str(tmp_path / "b.md"))
    assert prompt == "Compare:\n\n--- a.txt ---\ntext of a.txt\n\n--- b.md ---\ntext of b.md"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x7fELF\0", "is not text"),
        (b"ab\xff", "is not UTF-8 text (byte 2)"),
        (b"x" * (MAX_INPUT_BYTES + 1), "is larger than 8 MiB"),
    ],
    ids=["binary", "latin-1", "large"],
)
def test_what_no_model_can_read_is_refused(tok, tmp_path: Path, data: bytes, message: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(data)
    outcome = tok("ask", "x", "-f", str(file))
    assert outcome.code == 2
    assert message in outcome.err


def test_a_missing_file_is_named(tok) -> None:
    outcome = tok("ask", "x", "-f", "nowhere.txt", "--json")
    assert (outcome.code, outcome.json["error"]["kind"]) == (2, "usage")
    assert "nowhere.txt: No such file" in outcome.json["error"]["message"]


@pytest.mark.parametrize("prompt", [[], [""], ["  \n"]], ids=["none", "empty", "blank"])
def test_nothing_to_ask_is_a_usage_error(tok, prompt: list[str]) -> None:
    assert tok("ask", *prompt).code == 2


def test_sampling_options_override_the_preset(tok) -> None:
    engine = ScriptedEngine()
    options = "--temperature 0 --top-k 7 --top-p 0.5 --min-p 0.2 --repeat-penalty 1.3 --seed 9 --max-tokens 5"
    tok("ask", "x", "-p", "creative", *options.split(), "--stop", "A", "--stop", "B", engine=engine)
    sampling = engine.requests[0].sampling
    assert (sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p) == (0.0, 7, 0.5, 0.2)
    assert (sampling.repeat_penalty, sampling.seed, sampling.max_tokens) == (1.3, 9, 5)
    assert sampling.stop == ("A", "B")


def test_the_preset_is_used_as_it_is(tok) -> None:
    engine = ScriptedEngine()
    tok("ask", "x", engine=engine)
    sampling = engine.requests[0].sampling
    assert (sampling.temperature, sampling.min_p, sampling.repeat_penalty) == (0.8, 0.1, 1.1)


def test_the_system_prompt_replaces_the_presets(tok) -> None:
    with config_file().open("a", encoding="utf-8") as config:
        config.write('preset = "mine"\n[presets.mine]\nsystem = "Be brief."\n')
    engine = ScriptedEngine()
    for arguments, expected in [
        ([], [("system", "Be brief."), ("user", "x")]),
        (["-s", "Be long."], [("system", "Be long."), ("user", "x")]),
        (["-s", ""], [("user", "x")]),
    ]:
        tok("ask", "x", *arguments, engine=engine)
        assert roles(engine) == expected


def test_an_unknown_preset_exits_with_3_and_names_the_nearest(tok) -> None:
    outcome = tok("ask", "x", "-p", "presice")
    assert outcome.code == 3
    assert "`precise`" in outcome.err


def test_a_missing_model_exits_with_4(tok) -> None:
    assert tok("ask", "x", "-m", "./nowhere.gguf").code == 4


def test_continue_goes_on_where_the_last_question_ended(tok) -> None:
    tok("ask", "one", engine=ScriptedEngine(["first"]))
    engine = ScriptedEngine(["second"])
    tok("ask", "two", "-c", engine=engine)
    assert roles(engine) == [("user", "one"), ("assistant", "first"), ("user", "two")]


def test_an_unsaved_question_leaves_the_conversation_as_it_was(tok) -> None:
    tok("ask", "one", engine=ScriptedEngine(["first"]))
    for _ in range(2):
        engine = ScriptedEngine()
        tok("ask", "two", "-c", "--no-save", engine=engine)
        assert roles(engine) == [("user", "one"), ("assistant", "first"), ("user", "two")]


def test_there_must_be_something_to_continue(tok) -> None:
    tok("ask", "one", "--no-save")
    assert tok("ask", "two", "-c").code == 2


def test_a_history_that_cannot_be_written_does_not_cost_the_answer(tok, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TOKSCOPE_DATA_DIR", str(tmp_path / "file"))
    outcome = tok("ask", "x", engine=ScriptedEngine(["fine"]))
    assert (outcome.code, outcome.out) == (0, "fine\n")
    path = tmp_path / "file" / "conversations.db"
    assert outcome.err == (
        f"tok: this answer is not saved: {path}: cannot be opened or written (File exists)\n"
        "hint: Make the folder writable, or set TOKSCOPE_DATA_DIR to a writable one.\n"
    )


def test_a_damaged_history_that_was_set_aside_is_reported(tok, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "conversations.db").write_bytes(b"no database" * 1000)
    monkeypatch.setenv("TOKSCOPE_DATA_DIR", str(tmp_path))
    outcome = tok("ask", "x", engine=ScriptedEngine(["fine"]))
    aside = tmp_path / "conversations.db.corrupt-1"
    assert outcome.err == (
        "tok: The database was damaged: nothing could be recovered, and a new one was created."
        f" The damaged file is kept as {aside}.\n"
    )


class EndedInLoad(ScriptedEngine):
    """Is closed while it loads, which it reports as a loss."""

    async def load(self, command: LoadModel) -> AsyncGenerator[LoadEvent]:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            yield make_lost()


def test_a_history_that_cannot_be_read_is_all_that_is_reported(tok, tmp_path: Path, monkeypatch, caplog) -> None:
    (tmp_path / "data" / "conversations.db").mkdir(parents=True)
    monkeypatch.setenv("TOKSCOPE_DATA_DIR", str(tmp_path / "data"))
    outcome = tok("ask", "x", "-c", engine=EndedInLoad())
    gc.collect()
    assert outcome.code == 1
    assert outcome.err.startswith(f"tok: {tmp_path / 'data' / 'conversations.db'}: cannot be opened or written")
    assert caplog.text == ""  # asyncio logs there a failure that nobody awaited


class Encoding(ScriptedEngine):
    """Puts what it is asked on the wire, as the real one does."""

    async def generate(self, command: Generate) -> AsyncGenerator[GenerationEvent]:
        encode(command)
        async for event in super().generate(command):
            yield event


@pytest.mark.parametrize("option", ["-s", "--stop", "--force"])
def test_a_text_that_is_not_utf_8_is_a_usage_error(tok, option: str) -> None:
    outcome = tok("ask", "x", option, "caf\udce9", "--json", engine=Encoding())
    assert outcome.code == 2
    assert outcome.json["error"]["message"] == "`caf\ufffd` is not UTF-8 text"
