"""Bytes into lines. Pure, incremental."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.remote.errors import StreamError

MAX_LINE_BYTES = 1 << 20
"""A line of a stream is one small JSON object; a longer one is no stream."""

BOM = b"\xef\xbb\xbf"
"""The byte order mark in UTF-8."""
_END = re.compile(rb"\r\n?|\n")


class LineReader:
    """Splits at LF, CRLF and CR, wherever the chunks divide; a byte order mark at the start is dropped.

    Bytes that are not UTF-8 become U+FFFD.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._first = True
        self._after_cr = False
        """Whether an LF that comes next belongs to a CR that has ended its line already."""

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Yields the lines that `chunk` completes, without their ends. Raises StreamError for one that is too long."""
        if not chunk:
            return
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
        self._after_cr = chunk.endswith(b"\r")
        data, start = self._rest + chunk, 0
        for end in _END.finditer(data, len(self._rest)):
            yield self._text(data[start : end.start()])
            start = end.end()
        self._rest = data[start:]
        _check(len(self._rest))

    def close(self) -> str:
        """Returns what came behind the last end of a line."""
        rest, self._rest = self._rest, b""
        return self._text(rest)

    def _text(self, line: bytes) -> str:
        _check(len(line))
        if self._first:
            self._first = False
            line = line.removeprefix(BOM)
        return line.decode("utf-8", "replace")


def _check(n_bytes: int) -> None:
    if n_bytes > MAX_LINE_BYTES:
        raise StreamError(f"the server sent a line of more than {MAX_LINE_BYTES >> 20} MiB")
