"""Ctrl-C and readers that go away: what came is kept, the request is aborted, standard output stays valid."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable

import pytest

from app.cli.common.launching import EngineLauncher
from app.cli.main import main
from app.config.paths import database_file
from app.domain.conversation import ReplyState
from app.store.store import Store
from tests.fakes.scripted_engine import ScriptedEngine

pytestmark = pytest.mark.usefixtures("model")


def launcher(engine: ScriptedEngine, act: Callable[[], Awaitable[None]]) -> EngineLauncher:
    """Runs `act` beside the command, as the user's fingers."""
    tasks: list[asyncio.Task[None]] = []

    def make() -> ScriptedEngine:
        tasks.append(asyncio.ensure_future(act()))
        return engine

    return EngineLauncher(make)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


async def stored_replies() -> list[tuple[str, ReplyState]]:
    store = await Store.open(database_file())
    try:
        last = await store.last_conversation()
        return [(message.content, message.state) for message in await store.branch(last.id)][1:] if last else []
    finally:
        await store.close()


@pytest.mark.parametrize("flag", ["--json", "--jsonl"])
def test_ctrl_c_keeps_what_came(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    engine = ScriptedEngine(["one two three"], gated=True)

    async def act() -> None:
        await engine.release()
        await engine.release(2)
        interrupt()

    code = main(["ask", "hi", flag], launcher(engine, act))
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert code == 130
    assert (report["text"], report["finish_reason"]) == ("one two", "abort")
    assert engine.aborted == [engine.requests[0].request_id]
    assert asyncio.run(stored_replies()) == [("one two", ReplyState.STOPPED)]


def test_ctrl_c_in_plain_text_ends_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    engine = ScriptedEngine(["one two three"], gated=True)

    async def act() -> None:
        await engine.release()
        await engine.release(1)
        interrupt()

    assert main(["ask", "hi"], launcher(engine, act)) == 130
    assert capsys.readouterr() == ("one\n", "")


def test_ctrl_c_while_the_model_loads(capsys: pytest.CaptureFixture[str]) -> None:
    import json

    engine = ScriptedEngine(load_gated=True, loaded=False)

    async def act() -> None:
        await engine.release_load()
        interrupt()

    assert main(["ask", "hi", "--json"], launcher(engine, act)) == 130
    report = json.loads(capsys.readouterr().out)
    assert (report["text"], report["finish_reason"], report["seed"]) == ("", "abort", None)
    assert engine.closed


class BrokenPipe:
    """Standard output whose reader leaves after one write."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, text: str) -> None:
        if self.written:
            raise BrokenPipeError(32, "Broken pipe")
        self.written.append(text)

    def flush(self) -> None:
        return

    def isatty(self) -> bool:
        return False


def test_a_reader_that_leaves_ends_the_request_quietly(monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    engine = ScriptedEngine(["one two three"])
    out = BrokenPipe()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr("app.cli.common.console._abandon_stdout", lambda: None)
    assert main(["ask", "hi"], EngineLauncher(lambda: engine)) == 0
    assert out.written == ["one"]
    assert capsys.readouterr().err == ""
    assert engine.dropped or engine.aborted
    assert asyncio.run(stored_replies()) == [("one two", ReplyState.STOPPED)]
