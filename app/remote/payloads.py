"""The body of an answer into JSON objects, whatever form the server gives it. Pure, incremental.

Asked for a stream, servers send server-sent events, JSON lines (Ollama), one JSON object (those that ignore `stream`),
or a web page (a wrong address, a proxy). The first byte says which.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Protocol, cast

from app.domain.text import one_line
from app.remote.errors import StreamError
from app.remote.fields import JsonTable
from app.remote.lines import BOM, LineReader
from app.remote.sse import ServerEvent, SseReader

MAX_BODY_BYTES = 16 << 20
"""Most bytes of an answer that is one JSON object."""

_WEB_PAGE = "the server answers with a web page, not with JSON"
_ADDRESS = "Check the address: most end in /v1."
_SHOWN = 120
"""Characters of an unreadable answer that an error shows."""


class _Form(Protocol):
    done: bool

    def feed(self, chunk: bytes) -> Iterator[JsonTable]: ...

    def close(self) -> Iterator[JsonTable]: ...


class PayloadReader:
    """Turns the bytes of one answer into its JSON objects, one by one: what comes before a fault is good.

    Methods raise StreamError for what cannot be read.
    """

    def __init__(self) -> None:
        self._start = b""
        self._form: _Form | None = None

    @property
    def done(self) -> bool:
        """Whether the server has said that nothing more comes, as by `[DONE]`."""
        return self._form is not None and self._form.done

    def feed(self, chunk: bytes) -> Iterator[JsonTable]:
        """Yields the objects that `chunk` completes."""
        if self._form is None:
            self._start += chunk
            if BOM.startswith(self._start):
                return
            chunk = self._start = self._start.removeprefix(BOM).lstrip()
            if not chunk:
                return
            if chunk.startswith(b"<"):
                raise StreamError(_WEB_PAGE, _ADDRESS)
            self._form = _Json() if chunk.startswith((b"{", b"[")) else _Events()
        yield from self._form.feed(chunk)

    def close(self) -> Iterator[JsonTable]:
        """Yields what is left at the end of the body."""
        if self._form:
            yield from self._form.close()


class _Events:
    """Server-sent events."""

    def __init__(self) -> None:
        self._reader = SseReader()
        self.done = False

    def feed(self, chunk: bytes) -> Iterator[JsonTable]:
        return self._objects(self._reader.feed(chunk))

    def close(self) -> Iterator[JsonTable]:
        return self._objects(self._reader.close())

    def _objects(self, events: Iterator[ServerEvent]) -> Iterator[JsonTable]:
        for event in events:
            if event.data.strip() == "[DONE]":
                self.done = True
            if self.done or not event.data.strip():
                continue
            value = as_error(event.data) if event.name == "error" else decoded(event.data)
            if isinstance(value, dict):
                yield cast("JsonTable", value)


class _Json:
    """One object, or one a line."""

    def __init__(self) -> None:
        self._lines = LineReader()
        self._body: list[str] = []
        self._n_bytes = 0
        self._whole = False
        """Whether the lines are parts of one object."""
        self.done = False

    def feed(self, chunk: bytes) -> Iterator[JsonTable]:
        for line in self._lines.feed(chunk):
            yield from self._line(line)

    def close(self) -> Iterator[JsonTable]:
        yield from self._line(self._lines.close())
        if self._body:
            yield from _objects(decoded("\n".join(self._body)))

    def _line(self, line: str) -> list[JsonTable]:
        if not self._whole and line.strip():
            try:
                return _objects(decoded(line))
            except StreamError:
                self._whole = True
        self._n_bytes += len(line)
        if self._n_bytes > MAX_BODY_BYTES:
            raise StreamError(f"the server sent an answer of more than {MAX_BODY_BYTES >> 20} MiB")
        if self._whole:
            self._body.append(line)
        return []


def decoded(text: str) -> object:
    """The value of a JSON text; NaN and infinities are numbers. Raises StreamError."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        if text.lstrip().startswith("<"):
            raise StreamError(_WEB_PAGE, _ADDRESS) from None
        raise StreamError(f"the server sent something that is no JSON: {one_line(text, _SHOWN)}") from None


def as_error(text: str) -> JsonTable:
    """An object with an `error`, of the data of an event that is one."""
    try:
        value = decoded(text)
    except StreamError:
        value = text
    return cast("JsonTable", value) if isinstance(value, dict) and "error" in value else {"error": value}


def _objects(value: object) -> list[JsonTable]:
    values = cast("list[object]", value) if isinstance(value, list) else [value]
    return [cast("JsonTable", each) for each in values if isinstance(each, dict)]
