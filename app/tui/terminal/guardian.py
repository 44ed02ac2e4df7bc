"""A second process that gives the terminal back when the first one is killed outright: no handler runs on SIGKILL.

Forked before there are threads; it sleeps on a pipe whose other end only the app holds. Knows nothing of the app.
"""

from __future__ import annotations

import os
import signal
import termios
from contextlib import suppress
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
