"""The chat, in a process that reports what a reply cost it: `python -m tests.bench.reporting_chat DESCRIPTOR chat …`.

The descriptor is a socket. The chat writes a line when the first token has come and one when the reply is over; it
measures from the first token on that follows a byte from the other side and has `N_BEFORE` others before it.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from time import perf_counter, process_time
from typing import Any
from unittest.mock import patch

from app.cli.main import main
from app.client import worker_client
from app.client.worker_client import WorkerClient
from app.protocol.commands import Generate
from app.protocol.events import GenerationEvent, GenerationFinished, TokensGenerated

N_BEFORE = 64
"""As many for every page, so that all are measured at the same depth."""


class Report:
    """What one reply cost so far. Speed by the engine's clock, CPU time by this process's own."""

    def __init__(self, other_side: socket.socket) -> None:
        self._other_side = other_side
        self._n_seen = self._n_measured = 0
        self._ms = 0.0
        self._begin: tuple[float, float] | None = None
        self._end = (0.0, 0.0)

    def take(self, event: GenerationEvent) -> None:
        """Takes the next event, before the chat does."""
        match event:
            case TokensGenerated(tokens=tokens):
                if not self._n_seen:
                    self._announce({"event": "first"})
                self._n_seen += len(tokens)
                if self._begin is not None:
                    self._n_measured += len(tokens)
                    self._ms += sum(token.ms for token in tokens)
                    self._end = process_time(), perf_counter()
                elif self._n_seen >= N_BEFORE and self._asked():
                    self._begin = process_time(), perf_counter()
            case GenerationFinished(timings=timings):
                cpu_s, wall_s = (end - begin for begin, end in zip(self._begin or self._end, self._end, strict=True))
                figures = {"n_tokens": self._n_measured, "ms": self._ms, "cpu_s": cpu_s, "wall_s": wall_s}
                self._announce({"event": "finished", "decode_tps": timings.decode_tps, **figures})
            case _:
                pass

    def _asked(self) -> bool:
        try:
            return bool(self._other_side.recv(1, socket.MSG_DONTWAIT))
        except BlockingIOError:
            return False

    def _announce(self, event: dict[str, Any]) -> None:
        self._other_side.sendall(json.dumps(event).encode() + b"\n")


class Reporting(WorkerClient):
    """The engine, overheard."""

    other_side: socket.socket

    async def generate(self, command: Generate) -> AsyncGenerator[GenerationEvent]:
        """See `WorkerClient`."""
        report = Report(self.other_side)
        async with aclosing(super().generate(command)) as events:
            async for event in events:
                report.take(event)
                yield event


if __name__ == "__main__":
    Reporting.other_side = socket.socket(fileno=int(sys.argv[1]))
    with patch.object(worker_client, "WorkerClient", Reporting):
        sys.exit(main(sys.argv[2:]))
