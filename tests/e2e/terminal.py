"""A program in a pseudo-terminal, as a person sees it (a screen) and as the terminal does (raw bytes, termios)."""

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
import time
from collections.abc import Callable, Sequence
from typing import Any, Self

import pyte

TOK = (sys.executable, "-m", "app")

_TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)
_MODE = re.compile(rb"\x1b\[\?([0-9;]+)([hl])")
ALTERNATE_SCREEN, BRACKETED_PASTE, CURSOR, WRAP = 1049, 2004, 25, 7
_MOUSE = (1000, 1002, 1003, 1006, 1015)


class Terminal:
    """Runs `command` on a terminal of its own. Use as a context manager; the process is ended at exit.

    Attributes:
        raw: every byte that the program wrote.
        termios_before: the terminal's settings when the program started.
    """

    def __init__(self, command: Sequence[str], *, width: int = 80, height: int = 24, **environment: str) -> None:
        self._screen = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = bytearray()
        self._master, self._slave = pty.openpty()
        self.resize(width, height)
        self.termios_before = self.termios()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _TAKE_TERMINAL, *command],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env=os.environ | environment,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)
        os.close(self._slave)

    @property
    def text(self) -> str:
        """The screen, as lines."""
        return "\n".join(self._screen.display)

    @property
    def last_words(self) -> str:
        """What was written after the alternate screen was left."""
        return bytes(self.raw).rpartition(b"\x1b[?1049l")[2].decode(errors="replace")

    def termios(self) -> list[Any]:
        """The settings of the terminal now."""
        return termios.tcgetattr(self._slave)

    def resize(self, width: int, height: int) -> None:
        """Changes the size of the window."""
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self._screen.resize(height, width)
        if hasattr(self, "process"):
            os.killpg(self.process.pid, signal.SIGWINCH)

    def type(self, text: str) -> None:
        """Presses keys."""
        os.write(self._master, text.encode())

    def wait_for(self, condition: str | Callable[[str], object], timeout_s: float = 25.0) -> str:
        """Reads until a pattern or a condition holds of the screen, which is returned; fails the test otherwise."""
        holds = (lambda text: re.search(condition, text)) if isinstance(condition, str) else condition
        end = time.monotonic() + timeout_s
        while not holds(self.text):
            if time.monotonic() > end or not self._read(end):
                raise AssertionError(f"waited in vain for {condition!r}; the screen:\n{self.text}")
        return self.text

    def wait(self, timeout_s: float = 15.0) -> int:
        """Reads until the program has ended and returns its exit status."""
        end = time.monotonic() + timeout_s
        while self.process.poll() is None and time.monotonic() < end:
            self._read(min(end, time.monotonic() + 0.05))
        while self._read(time.monotonic()):
            pass
        return self.process.wait(0.1)

    def modes(self) -> dict[int, bool]:
        """The private modes that were ever touched, and whether they are set at the end."""
        modes: dict[int, bool] = {}
        for numbers, letter in _MODE.findall(bytes(self.raw)):
            modes |= {int(number): letter == b"h" for number in numbers.split(b";")}
        return modes

    def hang_up(self) -> None:
        """The terminal goes away, as when its window is closed."""
        for fd in (self._master, self._slave):
            os.close(fd)
        self._master, self._slave = os.open(os.devnull, os.O_RDWR), os.open(os.devnull, os.O_RDWR)

    def _read(self, end: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            return False
        chunk = os.read(self._master, 1 << 16)
        self.raw += chunk
        self._stream.feed(chunk)
        return True


def assert_restored(terminal: Terminal) -> None:
    """The program that has ended left the terminal as it was."""
    modes = terminal.modes()
    assert modes[ALTERNATE_SCREEN] is False
    assert modes[BRACKETED_PASTE] is False
    assert modes[CURSOR] is True
    assert modes.get(WRAP, True) is True
    assert not [mode for mode in _MOUSE if modes.get(mode)]
    assert terminal.raw.count(b"\x1b[>") - terminal.raw.count(b"\x1b[>c") <= terminal.raw.count(b"\x1b[<u") + 1
    assert terminal.termios() == terminal.termios_before
    assert b"Traceback" not in terminal.raw
