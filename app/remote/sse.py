"""Server-sent events (WHATWG HTML, section 9.2), as far as servers of models send them. Pure, incremental."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from app.remote.errors import StreamError
from app.remote.lines import LineReader

MAX_EVENT_BYTES = 4 << 20
"""Most characters of one event's data."""


class ServerEvent(Struct, frozen=True):
    """One event."""

    data: str
    name: str = ""
    """Its `event` field."""


class SseReader:
    """Turns bytes into events. Comments, `id` and `retry` are dropped, and so are events without data."""

    def __init__(self) -> None:
        self._lines = LineReader()
        self._data: list[str] = []
        self._name = ""
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """Yields the events that `chunk` completes. Raises StreamError for a line or an event that is too long."""
        for line in self._lines.feed(chunk):
            yield from self._line(line)

    def close(self) -> Iterator[ServerEvent]:
        """Yields the last event where the blank line behind it is missing."""
        yield from self._line(self._lines.close())
        yield from self._line("")

    def _line(self, line: str) -> list[ServerEvent]:
        if not line:
            return self._dispatched()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            self._name = value
        elif field in ("data", "error"):
            # Older llama-servers report an error in a field of that name.
            self._name = "error" if field == "error" else self._name
            self._size += len(value)
            if self._size > MAX_EVENT_BYTES:
                raise StreamError(f"the server sent an event of more than {MAX_EVENT_BYTES >> 20} MiB")
            self._data.append(value)
        return []

    def _dispatched(self) -> list[ServerEvent]:
        events = [ServerEvent("\n".join(self._data), self._name)] if self._data else []
        self._data, self._name, self._size = [], "", 0
        return events
