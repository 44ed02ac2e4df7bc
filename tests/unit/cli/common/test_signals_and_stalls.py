"""Signals end a command as Ctrl-C does, each with its exit code; a hung engine is reported on standard error."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from app.cli.common.launching import EngineLauncher
from app.cli.main import main
from app.client.engine import Stall
from tests.fakes.chat_app import until
from tests.fakes.scripted_engine import ScriptedEngine

pytestmark = pytest.mark.usefixtures("model")

ENDS = [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated"), (signal.SIGHUP, 129, "hung_up")]


def beside(engine: ScriptedEngine, act: Callable[[], Awaitable[None]]) -> EngineLauncher:
    """Runs `act` beside the command."""
    tasks: list[asyncio.Task[None]] = []

    def make() -> ScriptedEngine:
        tasks.append(asyncio.ensure_future(act()))
        return engine

    return EngineLauncher(make)


def signalled(engine: ScriptedEngine, number: signal.Signals, n_tokens: int) -> EngineLauncher:
    async def act() -> None:
        await engine.release()
        await engine.release(n_tokens)
        os.kill(os.getpid(), number)

    return beside(engine, act)


@pytest.mark.parametrize(("number", "code", "kind"), ENDS)
def test_ask_keeps_what_came(number, code, kind, capsys):
    engine = ScriptedEngine(["one two three"], gated=True)
    assert main(["ask", "hi", "--json"], signalled(engine, number, 2)) == code
    report = json.loads(capsys.readouterr().out)
    assert (report["text"], report["finish_reason"]) == ("one two", "abort")
    assert engine.closed


@pytest.mark.parametrize(("number", "code", "kind"), ENDS)
def test_several_answers_keep_what_came(number, code, kind, capsys):
    engine = ScriptedEngine(["one two three", "four five six"], gated=True)
    assert main(["ask", "hi", "-n", "2", "--json"], signalled(engine, number, 4)) == code
    assert len(json.loads(capsys.readouterr().out)["choices"]) == 2


@pytest.mark.parametrize(("number", "code", "kind"), ENDS)
def test_batch_keeps_what_is_done_and_says_how_to_go_on(number, code, kind, tmp_path: Path, capsys):
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"prompt": "a"}\n{"prompt": "b"}\n')
    engine = ScriptedEngine(["one", "two three four"], gated=True)
    arguments = ["batch", str(source), "-o", str(output), "--parallel", "1"]
    assert main(arguments, signalled(engine, number, 4)) == code
    assert [json.loads(line)["text"] for line in output.read_text().splitlines()] == ["one"]
    said = "interrupted" if number is signal.SIGINT else f"ended by {number.name}"
    assert f"tok: {said}\nhint: run the same command to resume\n" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "code", "kind"), ENDS)
@pytest.mark.parametrize("command", [["next", "hi"], ["inspect", "a text"], ["bench", "--suite", "basic"]])
def test_a_load_that_is_cut_is_an_error_of_its_kind(number, code, kind, command, capsys):
    engine = ScriptedEngine(loaded=False, load_gated=True)

    async def act() -> None:
        await engine.release_load()
        os.kill(os.getpid(), number)

    assert main([*command, "--json"], beside(engine, act)) == code
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["code"], error["kind"]) == (code, kind)
    assert engine.closed


def test_what_nohup_ignores_stays_ignored(capsys):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        engine = ScriptedEngine(["one two three"], gated=True)

        async def act() -> None:
            await engine.release()
            await engine.release(1)
            os.kill(os.getpid(), signal.SIGHUP)
            engine.run_free()

        assert main(["ask", "hi"], beside(engine, act)) == 0
        assert capsys.readouterr().out == "one two three\n"
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_handlers_are_given_back(capsys):
    before = [signal.getsignal(number) for number, _, _ in ENDS]
    assert main(["ask", "hi"], EngineLauncher(lambda: ScriptedEngine(["one"]))) == 0
    assert [signal.getsignal(number) for number, _, _ in ENDS] == before


@pytest.mark.parametrize(
    ("stall", "words"),
    [
        (Stall(5.0, answers=False), "tok: the engine has not answered for 5 s"),
        (Stall(31.0, answers=True), "tok: the engine has made no progress for 31 s"),
    ],
)
@pytest.mark.parametrize("command", [["ask", "hi"], ["trace", "hi", "-o", "-"], ["batch", "-", "-o", "-"]])
def test_an_engine_that_hangs_is_reported_once_and_so_is_its_return(stall, words, command, monkeypatch, capsys):
    import io
    import sys

    class Standard:
        buffer = io.BytesIO(b'{"prompt": "a"}\n')

        def isatty(self) -> bool:
            return command[0] != "batch"

    monkeypatch.setattr(sys, "stdin", Standard())
    said: list[str] = []
    monkeypatch.setattr("app.cli.common.console.print_stderr", said.append)
    monkeypatch.setattr("app.cli.common.interrupt._LOOK_S", 0.02)
    engine = ScriptedEngine(["one two three"], gated=True)

    async def act() -> None:
        await engine.release()
        await engine.release(1)
        engine.stall = stall
        await until(lambda: words in said)
        engine.stall = None
        await until(lambda: "tok: the engine answers again" in said)
        engine.run_free()

    assert main(command, beside(engine, act)) == 0
    assert said.count(words) == 1
    assert said[said.index(words) + 1 :][:2] == [
        "hint: waiting; press Ctrl-C to end it",
        "tok: the engine answers again",
    ]
