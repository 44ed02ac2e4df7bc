"""Faults of the app and of its terminal: the chat in a pseudo-terminal, over a scripted engine and a store on disk."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from pathlib import Path

from app.domain.conversation import Message, ReplyState
from app.store.store import Store
from tests.e2e.terminal import Terminal, assert_restored
from tests.faults.fault import Fault

_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT)
_MOMENTS = ("● ready", "half a th", "one two")
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x1b]52;c;b3duZWQ=\x07\x9b31m\u202eevil[/red][@click=app.quit]x[/] end"


def _chat(folder: Path, *reply: str) -> Terminal:
    return Terminal((sys.executable, "-m", "tests.fakes.pty_chat", str(folder), *reply))


def _reach(terminal: Terminal, moment: str) -> None:
    terminal.wait_for("● ready")
    if moment == "half a th":
        terminal.type("half a thought")
    elif moment == "one two":
        terminal.type("go\r")
    terminal.wait_for(moment)


async def _stored(folder: Path) -> list[Message]:
    store = await Store.open(folder / "conversations.db")
    try:
        last = await store.last_conversation()
        return await store.branch(last.id) if last else []
    finally:
        await store.close()


def _assert_kept(branch: list[Message], *states: ReplyState) -> str:
    assert [message.content for message in branch][:1] == ["go"]
    if len(branch) == 1:
        return "the first moments of the reply"
    assert branch[1].state in states
    assert "one two".startswith(branch[1].content)
    return "" if branch[1].content == "one two" else "at most the last quarter of a second of the reply"


async def _kill_9(folder: Path, draw: random.Random) -> str:
    with _chat(folder) as terminal:
        _reach(terminal, "one two")
        await asyncio.sleep(draw.random() * 0.3)
        terminal.process.kill()
        terminal.process.wait()
    return _assert_kept(await _stored(folder), ReplyState.INTERRUPTED)


async def _signal(folder: Path, draw: random.Random) -> str:
    number, moment = draw.choice(_SIGNALS), draw.choice(_MOMENTS)
    with _chat(folder) as terminal:
        _reach(terminal, moment)
        terminal.process.send_signal(number)
        assert terminal.wait() == 128 + number
        assert_restored(terminal)
    if moment == "one two":
        return _assert_kept(await _stored(folder), ReplyState.STOPPED, ReplyState.INTERRUPTED)
    return ""


async def _hang_up(folder: Path, draw: random.Random) -> str:
    with _chat(folder) as terminal:
        _reach(terminal, "one two")
        await asyncio.sleep(draw.random() * 0.3)
        terminal.hang_up()
        assert terminal.process.wait(10) == 128 + signal.SIGHUP
    return _assert_kept(await _stored(folder), ReplyState.STOPPED, ReplyState.INTERRUPTED)


async def _hostile_reply(folder: Path, draw: random.Random) -> str:
    with _chat(folder, HOSTILE) as terminal:
        terminal.wait_for("● ready")
        terminal.type("go\r")
        terminal.wait_for("evil")
        os.kill(terminal.process.pid, signal.SIGTERM)
        assert terminal.wait() == 143
        assert b"\x1b]0;owned" not in terminal.raw
        assert b"\x1b]52" not in terminal.raw
        assert "\u202e".encode() not in terminal.raw
        assert b"\xc2\x9b" not in terminal.raw
        assert_restored(terminal)
    return ""


FAULTS = (
    Fault("app killed with SIGKILL in a reply", _kill_9, 10),
    Fault("SIGTERM, SIGHUP, SIGQUIT or SIGINT to the chat", _signal, 24),
    Fault("terminal closed in a reply", _hang_up, 10),
    Fault("reply full of escapes, bidi controls and markup", _hostile_reply, 3),
)
