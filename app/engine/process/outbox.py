"""Writes events as frames to a pipe, without making the decode wait for the reader.

Collects tokens for a moment, so that a fast model does not wake the reader for each one. The pipe is non-blocking;
bytes that it does not take stay here until the next write.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable

from app.domain.generation import Thinking
from app.domain.trace import TokenTrace
from app.protocol.codec import encode
from app.protocol.events import Event, TokensGenerated

_GATHER_S = 0.030
_GATHER_SHARED_S = 0.060
"""The interval if the CPU computes: each wake-up of the reader stalls the decode, and the chat draws as rarely."""


class Outbox:
    """For one thread, except `send_aside`. Methods that write raise BrokenPipeError if the app has exited."""

    def __init__(self, fd: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self._fd = fd
        self._clock = clock
        self._gathered: dict[int, tuple[list[str], list[TokenTrace], Thinking | None]] = {}
        self._last_flush_s = float("-inf")
        self._pending = bytearray()
        self._lock = threading.Lock()
        """Held while `_pending` changes."""
        self._gather_s = _GATHER_S
        self.busy_ms = 0.0
        """Total time spent encoding and writing frames."""
        os.set_blocking(fd, False)

    def share(self, shared: bool) -> None:
        """Sets whether the reader shares the CPU with the computation; it is then woken less often."""
        self._gather_s = _GATHER_SHARED_S if shared else _GATHER_S

    def tokens(self, request_id: int, text: str, token: TokenTrace | None, thinking: Thinking | None = None) -> None:
        """Adds text and tokens to the next `TokensGenerated` of a request; `thinking`: of the whole reply so far."""
        texts, tokens, _ = self._gathered.get(request_id, ([], [], None))
        self._gathered[request_id] = texts, tokens, thinking
        if text:
            texts.append(text)
        if token is not None:
            tokens.append(token)

    def send(self, event: Event) -> None:
        """Sends an event after all collected tokens."""
        began_s = self._clock()
        self._collect()
        self.send_aside(event)
        self.busy_ms += (self._clock() - began_s) * 1e3

    def send_aside(self, event: Event) -> None:
        """Sends an event at once, before collected tokens. Thread-safe."""
        with self._lock:
            self._pending += encode(event)
            self._write()

    def flush(self, force: bool = False) -> None:
        """Sends collected tokens if they are due, or now with `force`. Call after every step."""
        began_s = self._clock()
        due = began_s - self._last_flush_s >= self._gather_s
        if self._gathered and (due or force):
            self._collect()
        if self._pending:
            with self._lock:
                self._write()
            self.busy_ms += (self._clock() - began_s) * 1e3

    def drain(self) -> None:
        """Waits until the pipe has taken everything; call it when idle."""
        self.flush(force=True)
        while self._pending:
            select.select([], [self._fd], [], 1.0)
            with self._lock:
                self._write()

    def _collect(self) -> None:
        if not self._gathered:  # another event must not delay the first token of a reply
            return
        with self._lock:
            for request_id, (texts, tokens, thinking) in self._gathered.items():
                self._pending += encode(TokensGenerated(request_id, "".join(texts), tuple(tokens), thinking))
        self._gathered.clear()
        self._last_flush_s = self._clock()

    def _write(self) -> None:
        try:
            n = os.write(self._fd, self._pending)
        except BlockingIOError:
            return
        del self._pending[:n]
