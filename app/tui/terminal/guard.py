"""Restores the terminal whatever ends the app: a signal, a hang-up, an exception, and by a second process SIGKILL."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

_BYE = b"."
_IGNORED = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP, signal.SIGTTOU)


class Guardian:
    """Stands from its making until it is dismissed or the app is dead."""

    def __init__(self, attributes: list[Any] | None, restore: bytes) -> None:
        """`attributes`: what the terminal gets back; `restore`: what is written to it.

        Raises OSError: it cannot be made.
        """
        wakes, self._pipe = os.pipe()
        try:
            self._pid = os.fork()
        except OSError:
            os.close(wakes)
            os.close(self._pipe)
            raise
        if not self._pid:
            try:
                _watch(wakes, attributes, restore)
            finally:
                os._exit(0)
        os.close(wakes)

    def dismiss(self) -> None:
        """Sends it away: the terminal has been given back. Idempotent."""
        pipe, self._pipe = self._pipe, -1
        if pipe < 0:
            return
        with suppress(OSError):
            os.write(pipe, _BYE)
        os.close(pipe)
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


def _watch(wakes: int, attributes: list[Any] | None, restore: bytes) -> None:
    group = os.getpgrp()
    os.setpgid(0, 0)  # who kills the app's whole group does not mean the terminal
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    os.closerange(3, wakes)
    os.closerange(wakes + 1, os.sysconf("SC_OPEN_MAX"))
    if os.read(wakes, 1) == _BYE:
        return
    with suppress(OSError, termios.error):
        # A shell that has taken its terminal back by now has set it as it wants it.
        if attributes is not None and os.tcgetpgrp(0) == group:
            termios.tcsetattr(0, termios.TCSANOW, attributes)
    os.write(2, restore)


_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT)
_MODES_OFF = (2004, 1000, 1002, 1003, 1006, 1015, 1016, 1004, 2048, 2026)
# The kitty keyboard flags belong to the alternate screen: they are popped before it is left.
RESTORE = (
    "".join(f"\x1b[?{mode}l" for mode in _MODES_OFF) + "\x1b[<u" + "\x1b[?7h\x1b[?1049l\x1b[?25h\x1b[0m\r\n"
).encode()


class TerminalGuard:
    """Owns the process's signals while the chat is on the screen, and before, while there is only its first frame."""

    def __init__(self, *, kill_engine: Callable[[], None], grace_s: float = 1.0) -> None:
        """`kill_engine` must not block. Made before anything is changed about the terminal."""
        self._leave: Callable[[int], None] | None = None
        self._kill_engine = kill_engine
        self._grace_s = grace_s
        self._lock = threading.Lock()
        self._fd = sys.__stdin__.fileno() if sys.__stdin__ is not None else 0
        self._before = _attributes(self._fd)
        self._handlers: dict[signal.Signals, object] = {}
        self._guardian: Guardian | None = None
        self.signum: int | None = None
        """The signal that ended the app; None while it lives or when it ended by itself."""

    def __enter__(self) -> TerminalGuard:
        """Takes the signals over and watches for a hang-up of the terminal. Enter it in the main thread."""
        with suppress(OSError):
            self._guardian = Guardian(self._before, RESTORE)
        for number in _SIGNALS:
            self._handlers[number] = signal.signal(number, self._on_signal)
        threading.Thread(target=self._watch_hangup, name="tokscope-hangup", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Gives the signals back, and the terminal, which after an exception is still as the chat had it."""
        if kind is not None:
            self.restore()
        self._restore_attributes()
        self._dismiss()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType] signal.signal() returned it
        self._handlers.clear()

    def ask_first(self, leave: Callable[[int], None]) -> None:
        """From now on a signal first calls `leave`, which asks the app to end with an exit code, from any thread."""
        self._leave = leave

    def restore(self) -> None:
        """Puts the terminal's modes and attributes back; for the ways out on which Textual did not."""
        try:
            if select.select([], [2], [], 0.1)[1]:
                os.write(2, RESTORE)
        except OSError:
            return
        self._restore_attributes()

    def _restore_attributes(self) -> None:
        if self._before is not None:
            with suppress(termios.error):
                termios.tcsetattr(self._fd, termios.TCSANOW, self._before)

    def _dismiss(self) -> None:
        if self._guardian is not None:
            self._guardian.dismiss()

    def _on_signal(self, signum: int, _frame: FrameType | None) -> None:
        self._received(signum)

    def _received(self, signum: int) -> None:
        # A handler may interrupt itself: only the first caller to get the lock asks politely. A hang-up comes twice,
        # as a signal and from the watching thread, and must not cut its own grace short.
        if not self._lock.acquire(blocking=False):
            if signum != signal.SIGHUP:
                self._leave_now()
            return
        self.signum = signum
        if self._leave is None:
            self._leave_now()
            return
        watchdog = threading.Timer(self._grace_s, self._leave_now)
        watchdog.daemon = True
        watchdog.start()
        self._leave(128 + signum)

    def _leave_now(self) -> None:
        self.restore()
        self._dismiss()
        self._kill_engine()
        os._exit(128 + (self.signum or signal.SIGTERM))

    def _watch_hangup(self) -> None:
        poller = select.poll()
        poller.register(self._fd, 0)
        while True:
            flags = {flag for _, flag in poller.poll()}
            if any(flag & select.POLLHUP for flag in flags):
                self._received(signal.SIGHUP)
            return


def _attributes(fd: int) -> list[Any] | None:
    try:
        return termios.tcgetattr(fd)
    except termios.error:
        return None
