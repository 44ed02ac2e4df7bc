"""The real worker as a process that a test writes frames to and reads frames from."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TypeVar

from app.protocol.codec import encode, event_decoder
from app.protocol.commands import Command
from app.protocol.events import Event, Hello

Kind = TypeVar("Kind", bound=Event)


class RawWorker:
    def __init__(self, log: Path) -> None:
        argv = [sys.executable, "-P", "-m", "app.engine", "--log", str(log)]
        root = Path(__file__).parents[2]
        environment = os.environ | {"PYTHONPATH": str(root)}
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self._decoder = event_decoder()
        self._events: list[Event] = []
        self.until(Hello)

    def send(self, *commands: Command) -> None:
        assert self.process.stdin
        self.process.stdin.write(b"".join(encode(command) for command in commands))
        self.process.stdin.flush()

    def until(self, kind: type[Kind]) -> Kind:
        """The next event of a kind; those before it are gone."""
        while True:
            event = self.next()
            if isinstance(event, kind):
                return event

    def next(self) -> Event:
        """The next event of any kind."""
        assert self.process.stdout
        while not self._events:
            chunk = os.read(self.process.stdout.fileno(), 1 << 16)
            assert chunk, "the worker has ended"
            self._events += self._decoder.feed(chunk)
        return self._events.pop(0)

    def close(self) -> None:
        """Ends its input; it must end by itself then."""
        assert self.process.stdin
        self.process.stdin.close()
        assert self.process.wait(timeout=10) == 0
