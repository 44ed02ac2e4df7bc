"""Ctrl-C while an answer comes: the first asks the engine to stop and keeps what came, the second leaves at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable


class Interrupt:
    """A context manager around one answer; must be entered in the task that runs it.

    Attributes:
        requested: whether Ctrl-C was pressed.
        stop: ends the request in a friendly way; None while there is none, and Ctrl-C cancels the task instead.
    """

    def __init__(self) -> None:
        self.requested = False
        self.stop: Callable[[], None] | None = None

    def __enter__(self) -> Interrupt:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        try:
            self._loop.add_signal_handler(signal.SIGINT, self._on_signal)
        except (NotImplementedError, RuntimeError, ValueError):
            # No signal handlers on this platform or thread: asyncio's own KeyboardInterrupt remains.
            self._installed = False
        else:
            self._installed = True
        return self

    def __exit__(self, *_: object) -> None:
        if self._installed:
            self._loop.remove_signal_handler(signal.SIGINT)

    def _on_signal(self) -> None:
        first, self.requested = not self.requested, True
        if first and self.stop is not None:
            self.stop()
        elif self._task is not None:
            self._task.cancel()
