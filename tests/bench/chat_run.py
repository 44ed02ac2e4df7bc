"""One reply in the real chat, on a pseudo-terminal of 120x40, with keys pressed meanwhile; returns what it cost.

For `screen_cost` and `page_cost`. The prompt, the preset and the seed are always the same.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import socket
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

PROMPT = "Write a long story about a lighthouse keeper and the sea, with a list and some code"
CONFIG = """
{settings}
[presets.bench]
max_tokens = {n_tokens}
seed = 7
ban = ["<|im_end|>"]
temperature = 0.8
min_p = 0.1
repeat_penalty = 1.1
"""
_QUIT = b"\x11"
_LEFT = b"\x1b[?1049l"
_SILENT_S = 60.0


class Cost(msgspec.Struct, frozen=True):
    """What `tests.bench.reporting_chat` reported of a reply."""

    decode_tps: float
    """Of the whole reply, by the engine's clock."""
    n_tokens: int
    """Those that were measured: all that came once the keys had done their work."""
    ms: float
    """The engine's time for these."""
    cpu_s: float
    """Of the chat's own process, without the engine's."""
    wall_s: float

    @property
    def tps(self) -> float:
        """Tokens/s of those that were measured, by the engine's clock."""
        return self.n_tokens / self.ms * 1000


def environment(folder: Path, n_tokens: int, settings: str = "", remembered: str = "") -> dict[str, str]:
    """Returns that of a program whose files lie in `folder`, with a preset `bench` and these settings."""
    folders = {f"TOKSCOPE_{kind}_DIR": str(folder / kind) for kind in ("CONFIG", "DATA", "CACHE")}
    for path in folders.values():
        Path(path).mkdir()
    Path(folder, "CONFIG", "config.toml").write_text(CONFIG.format(n_tokens=n_tokens, settings=settings))
    if remembered:
        Path(folder, "DATA", "remembered.json").write_text(remembered)
    return os.environ | folders | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}


def reply_in_the_chat(
    n_tokens: int, *, steps: Sequence[tuple[bytes, str]] = (), settings: str = "", remembered: str = ""
) -> Cost:
    """Sends the prompt and measures the reply.

    Args:
        n_tokens: how long the reply is.
        steps: keys, and the text that they bring to the screen; pressed one after another from the first token on.
        settings: lines of config.toml.
        remembered: what the chat remembers of an earlier session.
    """
    with tempfile.TemporaryDirectory() as folder:
        chat = _Chat(environment(Path(folder), n_tokens, settings, remembered))
        try:
            chat.until_drawn("ready")
            chat.press(PROMPT.encode() + b"\r")
            chat.until_reported("first")
            for keys, text in steps:
                chat.press(keys)
                chat.until_drawn(text)
            chat.measure()
            cost = msgspec.convert(chat.until_reported("finished"), Cost)
            chat.press(_QUIT)
            chat.until_drawn(_LEFT.decode())
        finally:
            chat.close()
    if not cost.n_tokens:
        raise SystemExit("the reply was over before anything could be measured: more --tokens")
    return cost


class _Chat:
    """Takes what the chat draws, as a terminal would, without the cost of drawing it."""

    def __init__(self, variables: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self._reports, theirs = socket.socketpair()
        command = [sys.executable, "-m", "tests.bench.reporting_chat", str(theirs.fileno()), "chat", "-p", "bench"]
        self._process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=variables, pass_fds=[theirs.fileno()]
        )
        os.close(slave)
        theirs.close()
        self._drawn = self._reported = b""

    def press(self, keys: bytes) -> None:
        """Presses keys; what was drawn before does not count any more."""
        self._drawn = b""
        os.write(self._master, keys)

    def measure(self) -> None:
        """What comes from now on counts."""
        self._reports.sendall(b"!")

    def until_drawn(self, text: str) -> None:
        """Returns when a text has been drawn since the last keys."""
        while text.encode() not in self._drawn:
            self._take(f"{text!r} to be drawn")

    def until_reported(self, name: str) -> dict[str, Any]:
        """Returns what the chat reports under this name."""
        while True:
            line, end, rest = self._reported.partition(b"\n")
            if not end:
                self._take(f"the report {name!r}")
                continue
            self._reported = rest
            if (event := json.loads(line)).pop("event") == name:
                return event

    def close(self) -> None:
        """Ends the process if it has not ended."""
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait()
        self._reports.close()
        os.close(self._master)

    def _take(self, awaited: str) -> None:
        ready, _, _ = select.select([self._master, self._reports], [], [], _SILENT_S)
        if not ready:
            raise SystemExit(f"the chat said nothing for {_SILENT_S:.0f} s; {awaited} was awaited")
        if self._reports in ready:
            if not (reported := self._reports.recv(1 << 16)):
                raise SystemExit(f"the chat ended; {awaited} was awaited")
            self._reported += reported
        if self._master in ready:
            self._drawn += os.read(self._master, 1 << 16)
