"""The terminal is given back whatever ends the chat: in a real pty, over a scripted engine."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain.conversation import ReplyState
from app.store.store import Store
from app.tui.terminal.guard import TerminalGuard

ROOT = Path(__file__).resolve().parents[3]
_MODE = re.compile(rb"\x1b\[\?(\d+)([hl])")


class PtyChat:
    """A chat in a terminal of its own; `seen` is every byte that it wrote."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.seen = b""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.pty_chat", str(folder)],
            cwd=ROOT,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"} | env,
            preexec_fn=lambda: (os.setsid(), fcntl.ioctl(0, termios.TIOCSCTTY, 0)),
        )

    def read_until(self, text: bytes, timeout_s: float = 20.0) -> None:
        end = time.monotonic() + timeout_s
        while text not in self.seen:
            assert time.monotonic() < end, f"{text!r} did not appear"
            self._read(0.5)

    def _read(self, timeout_s: float) -> bool:
        if not select.select([self.master], [], [], timeout_s)[0]:
            return False
        try:
            chunk = os.read(self.master, 1 << 16)
        except OSError:
            return False
        self.seen += chunk
        return bool(chunk)

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def wait(self) -> int:
        end = time.monotonic() + 10
        while self.process.poll() is None and time.monotonic() < end:
            self._read(0.05)
        while self._read(0):
            pass
        return self.process.wait(1)

    def modes_left_on(self) -> set[int]:
        modes: dict[int, bool] = {}
        for number, action in _MODE.findall(self.seen):
            modes[int(number)] = action == b"h"
        # Line wrap and the cursor are on by nature.
        return {mode for mode, on in modes.items() if on} - {7, 25} | {m for m in (7, 25) if not modes.get(m, True)}


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[PtyChat]:
    running = PtyChat(tmp_path, {})
    yield running
    running.process.kill()
    running.process.wait()
    os.close(running.slave)
    os.close(running.master)


def stream_some(chat: PtyChat) -> None:
    chat.read_until(b"ready")
    for key in b"go":
        chat.type(bytes([key]))
    chat.read_until(b"go")
    chat.type(b"\r")
    chat.read_until(b"two")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT])
async def test_a_signal_gives_the_terminal_back_and_keeps_the_reply(
    tmp_path: Path, chat: PtyChat, number: signal.Signals
) -> None:
    stream_some(chat)
    chat.process.send_signal(number)
    assert chat.wait() == 128 + number
    assert chat.modes_left_on() == set()
    assert termios.tcgetattr(chat.slave) == chat.before
    store = await Store.open(tmp_path / "conversations.db")
    conversation = await store.last_conversation()
    assert conversation is not None
    branch = await store.branch(conversation.id)
    await store.close()
    assert [message.content for message in branch] == ["go", "one two"]
    assert branch[1].state in {ReplyState.STOPPED, ReplyState.INTERRUPTED}


def test_quitting_gives_the_terminal_back(chat: PtyChat) -> None:
    chat.read_until(b"ready")
    chat.type(b"\x11")
    assert chat.wait() == 0
    assert chat.modes_left_on() == set()
    assert termios.tcgetattr(chat.slave) == chat.before


def test_a_terminal_that_goes_away_ends_the_chat(tmp_path: Path) -> None:
    chat = PtyChat(tmp_path, {})
    chat.read_until(b"ready")
    os.close(chat.slave)
    os.close(chat.master)
    began = time.monotonic()
    try:
        chat.process.wait(10)
        assert time.monotonic() - began < 5
    finally:
        chat.process.kill()


def test_no_color_writes_no_colour(tmp_path: Path) -> None:
    chat = PtyChat(tmp_path, {"NO_COLOR": "1"})
    try:
        stream_some(chat)
        chat.type(b"\x10")
        chat.read_until(b"Commands")
        chat.read_until(b"\x1b[1;4;39;49mStop the reply")  # the list's cursor is seen without colours
        chat.type(b"\x11")
        chat.wait()
    finally:
        chat.process.kill()
    parameters = [p for sgr in re.findall(rb"\x1b\[([0-9;]*)m", chat.seen) for p in sgr.split(b";") if p]
    colours = {int(p) for p in parameters} & {*range(30, 38), 38, *range(40, 48), 48, *range(90, 98), *range(100, 108)}
    assert colours == set()


def test_what_is_typed_before_the_first_paint_is_answered(chat: PtyChat) -> None:
    chat.read_until(b"\x1b[?1049h")
    chat.type(b"go\r")
    chat.read_until(b"two")


def test_a_hang_up_is_seen_where_no_signal_comes() -> None:
    master, slave = pty.openpty()
    guard = TerminalGuard(kill_engine=lambda: None, grace_s=3600.0)
    guard._fd = slave
    left: list[int] = []
    guard.ask_first(left.append)
    watch = threading.Thread(target=guard._watch_hangup, daemon=True)
    watch.start()
    os.close(master)
    watch.join(20)
    os.close(slave)
    assert left == [128 + signal.SIGHUP]
