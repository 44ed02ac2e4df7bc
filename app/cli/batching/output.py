"""The output of a batch: what an earlier run left in it, and results written in order though they come in any.

A result is written as soon as all before it are. How far requests may run ahead of the oldest one that is still
running is bounded, and with it what waits in memory.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from app.cli.batching.lines import LineId
from app.domain.errors import TokscopeError, UsageError
from app.domain.text import one_line


class Order:
    """Takes results by index, in any order, and hands them to `write` in order."""

    def __init__(self, write: Callable[[str], None], first: int, window: int) -> None:
        """`first`: the index that is written next; `window`: how many results from there on may be on their way."""
        self._write = write
        self._next = first
        self._window = window
        self._waiting: dict[int, dict[str, Any]] = {}
        self._changed = asyncio.Event()
        self._closed = False

    def put(self, index: int, result: dict[str, Any]) -> None:
        """Writes a result, and those that waited for it, or keeps it until its turn comes."""
        self._waiting[index] = result
        while self._next in self._waiting:
            self._write(json.dumps(self._waiting.pop(self._next), ensure_ascii=False, allow_nan=False) + "\n")
            self._next += 1
        self._wake()

    async def room(self, index: int) -> bool:
        """Waits until a request with this index may start; False when none may any more."""
        while not self._closed and index >= self._next + self._window:
            await self._changed.wait()
        return not self._closed

    def close(self) -> None:
        """Lets no further request start."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Earlier(msgspec.Struct, frozen=True):
    """What an output file holds already."""

    n_done: int = 0
    n_failed: int = 0
    """Of `n_done`: lines with an error."""


def read_earlier(path: Path, ids: Iterable[LineId]) -> Earlier:
    """Returns how many lines of an earlier run are complete, and cuts off the one that is not.

    `ids` are those of the input, in order. Raises UsageError where the file is no beginning of this batch's output.
    """
    if not path.is_file():  # nothing there, or a pipe or device, which hold nothing to go on with
        return Earlier()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {one_line(str(path))}: {error.strerror}") from error
    end = data.rfind(b"\n") + 1
    rows, expected, n_failed = data[:end].split(b"\n")[:-1], iter(ids), 0
    for index, row in enumerate(rows):
        try:
            n_failed += _is_failed(row, index, expected)
        except ValueError as error:
            raise UsageError(
                f"{one_line(str(path))}:{index + 1}: {error}",
                hint="it is no output of this input; --overwrite begins anew, -o names another file",
            ) from None
    if end < len(data):
        os.truncate(path, end)
    return Earlier(len(rows), n_failed)


def _is_failed(row: bytes, index: int, expected: Iterable[LineId]) -> bool:
    try:
        result: object = msgspec.json.decode(row)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(result, dict):
        raise ValueError("not a result")
    result = cast("dict[str, Any]", result)
    for line_id in expected:
        if (result.get("index"), result.get("id")) != (index, line_id):
            raise ValueError(f"index {result.get('index')!r}, id {result.get('id')!r} in place of {index}, {line_id!r}")
        return "error" in result
    raise ValueError("the input has fewer lines")


class OutputFile:
    """Appends to a file, line by line; each is in the system's hands when `write` returns."""

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        """Raises UsageError where the file cannot be opened."""
        self._name = one_line(str(path))
        try:
            self._file: BinaryIO = path.open("wb" if overwrite else "ab")
        except OSError as error:
            raise UsageError(f"cannot write {self._name}: {error.strerror}") from error

    def write(self, line: str) -> None:
        """Raises TokscopeError where the disk is full and the like."""
        try:
            self._file.write(line.encode("utf-8", "replace"))
            self._file.flush()
        except OSError as error:
            raise TokscopeError(f"cannot write {self._name}: {error.strerror}", hint="what is there stays") from error

    def close(self) -> None:
        """Closes the file; what could not be written was told by `write`."""
        try:
            self._file.close()
        except OSError:
            return
