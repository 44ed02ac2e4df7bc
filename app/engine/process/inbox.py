"""Reads commands on a thread while the loop computes, so that an abort can stop a running decode."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable

from app.protocol.codec import FrameError, command_decoder
from app.protocol.commands import Abort, CancelLoad, Command, Ping, Shutdown

_CHUNK_BYTES = 1 << 16
_EXIT_GRACE_S = 1.0


class Inbox:
    """A queue of commands in order; the reader's thread also reports urgent ones at once."""

    def __init__(self, fd: int, on_read: Callable[[Command], None], on_queued: Callable[[Command], None]) -> None:
        """The reader's thread calls `on_read` before an urgent command can be taken, `on_queued` after."""
        self._fd = fd
        self._on_read = on_read
        self._on_queued = on_queued
        self._queue: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="inbox", daemon=True).start()

    def take(self, wait: bool) -> list[Command]:
        """Returns all queued commands; with `wait`, waits for one or for `wake`."""
        commands = [self._queue.get()] if wait else []
        while not self._queue.empty():
            commands.append(self._queue.get())
        return [command for command in commands if command is not None]

    def wake(self) -> None:
        """Ends a waiting `take`. Thread-safe."""
        self._queue.put(None)

    def _read(self) -> None:
        decoder = command_decoder()
        while chunk := os.read(self._fd, _CHUNK_BYTES):
            try:
                commands = decoder.feed(chunk)
            except FrameError:
                break
            for command in commands:
                self._put(command)
        self._put(Shutdown())
        # The app has exited: a native call that hangs must not keep this process alive.
        threading.Timer(_EXIT_GRACE_S, os._exit, (0,)).start()

    def _put(self, command: Command) -> None:
        if isinstance(command, Ping):  # answered on this thread: the loop may be inside a native call
            self._on_read(command)
            return
        urgent = isinstance(command, Abort | CancelLoad | Shutdown)
        if urgent:
            self._on_read(command)
        self._queue.put(command)
        if urgent:
            self._on_queued(command)
