"""The chat in a real terminal: types, streams, stops, quits, comes back, and leaves the terminal as it was."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from app.config.paths import config_file, database_file
from app.domain.conversation import Message, ReplyState
from app.store.store import Store
from tests.e2e.terminal import ALTERNATE_SCREEN, CURSOR, TOK, Terminal, assert_restored

pytestmark = [pytest.mark.model]

LONG = "Write a very long story about the sea"
ENDLESS = '[presets.endless]\ntemperature = 0.8\nseed = 1\nban = ["<|im_end|>", "<|endoftext|>"]\n'
QUIT, ESCAPE = "\x11", "\x1b"


def n_tokens(screen: str) -> int:
    found = re.search(r"(\d+) tokens? │", screen)
    return int(found[1]) if found else 0


def send(terminal: Terminal, prompt: str) -> None:
    terminal.type(prompt)
    terminal.wait_for(re.escape(prompt))
    terminal.type("\r")


@pytest.fixture
def endless() -> tuple[str, ...]:
    """The chat with a preset whose replies end only when they are stopped."""
    config_file().parent.mkdir(parents=True, exist_ok=True)
    config_file().write_text(ENDLESS)
    return (*TOK, "chat", "--preset", "endless")


def stored_branch() -> list[Message]:
    async def read() -> list[Message]:
        store = await Store.open(database_file())
        try:
            last = await store.last_conversation()
            return await store.branch(last.id) if last else []
        finally:
            await store.close()

    return asyncio.run(read())


def test_the_promises_in_one_sitting(endless: tuple[str, ...]) -> None:
    with Terminal(endless) as terminal:
        terminal.wait_for("● ready")
        send(terminal, LONG)
        terminal.wait_for(lambda screen: n_tokens(screen) >= 8)
        terminal.type(ESCAPE)
        terminal.wait_for("stopped by you")
        send(terminal, "Go on")
        terminal.wait_for(r"[1-9]\d* cached")
        terminal.type(QUIT)
        assert terminal.wait() == 0, terminal.last_words
        assert_restored(terminal)
    first, reply, *_ = stored_branch()
    assert first.content == LONG
    assert reply.state is ReplyState.STOPPED
    assert reply.content

    with Terminal([*TOK, "--continue"]) as terminal:
        terminal.wait_for("Go on")
        terminal.type(QUIT)
        assert terminal.wait() == 0, terminal.last_words


def test_keys_that_arrive_together_keep_their_order() -> None:
    with Terminal(TOK) as terminal:
        terminal.wait_for("● ready")
        terminal.type("Say hi\r")
        # Not for a number of tokens: a short reply may have ended, and its figures made room for why.
        terminal.wait_for("◆ ")
        terminal.type(QUIT)
        assert terminal.wait() == 0, terminal.last_words
    assert stored_branch()[0].content == "Say hi"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_restored(number: signal.Signals) -> None:
    with Terminal(TOK) as terminal:
        terminal.wait_for("● ready")
        terminal.process.send_signal(number)
        assert terminal.wait() == 128 + number
        assert_restored(terminal)


SHELL = """
import os, subprocess, sys
app = subprocess.Popen([sys.executable, "-m", "app"])
open(sys.argv[1], "w").write(str(app.pid))
app.wait()
print("back in the shell", flush=True)
sys.stdin.readline()
"""


def test_kill_9_leaves_the_terminal_restored(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with Terminal((sys.executable, "-c", SHELL, str(pid_file))) as terminal:
        terminal.wait_for("● ready")
        os.kill(int(pid_file.read_text()), signal.SIGKILL)
        terminal.wait_for(lambda _: not terminal.modes()[ALTERNATE_SCREEN])
        terminal.type("\r")
        assert terminal.wait() == 0
        assert_restored(terminal)


def test_kill_9_loses_only_the_last_moments(endless: tuple[str, ...]) -> None:
    with Terminal(endless) as terminal:
        terminal.wait_for("● ready")
        send(terminal, LONG)
        terminal.wait_for(lambda screen: n_tokens(screen) >= 20)
        terminal.process.kill()
        terminal.process.wait()
    question, reply = stored_branch()
    assert question.content == LONG
    assert reply.state is ReplyState.INTERRUPTED
    assert reply.content


def test_a_window_that_is_too_small_says_so_and_recovers() -> None:
    with Terminal(TOK, width=30, height=8) as terminal:
        terminal.wait_for(lambda screen: "40" in screen)
        terminal.resize(100, 30)
        terminal.wait_for("● ready")
        terminal.type(QUIT)
        assert terminal.wait() == 0, terminal.last_words
        assert_restored(terminal)


def test_a_dumb_terminal_is_refused_politely() -> None:
    with Terminal(TOK, TERM="dumb") as terminal:
        assert terminal.wait() == 2
        assert terminal.raw.startswith(b"tok: ")


FIRST_FRAME = """
import signal, sys
from app.tui.terminal import splash
from app.tui.terminal.guard import TerminalGuard
with TerminalGuard(kill_engine=lambda: None):
    splash.show("Ask anything")
    {end}
"""


@pytest.mark.parametrize(
    ("end", "number", "code"),
    [
        ("signal.pause()", signal.SIGTERM, 143),
        ("signal.pause()", signal.SIGINT, 130),
        ("sys.stdin.readline(); sys.exit(7)", None, 7),
    ],
)
def test_the_first_frame_gives_the_terminal_back(end: str, number: signal.Signals | None, code: int) -> None:
    with Terminal((sys.executable, "-c", FIRST_FRAME.format(end=end))) as terminal:
        terminal.wait_for("Ask anything")
        assert terminal.modes()[ALTERNATE_SCREEN] is True
        if number is None:
            terminal.type("x\r")
        else:
            os.kill(terminal.process.pid, number)
        assert terminal.wait() == code
        modes = terminal.modes()
        assert (modes[ALTERNATE_SCREEN], modes[CURSOR]) == (False, True)
        assert terminal.termios() == terminal.termios_before
