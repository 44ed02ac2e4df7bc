"""The output of a batch: results written in order though they come in any, and progress on standard error."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from app.cli.common import console
from app.domain.errors import TokscopeError, UsageError
from app.domain.text import one_line, safe_json


class Order:
    """Takes results by index, in any order, and hands them to `write` in the order of `todo`."""

    def __init__(self, write: Callable[[int, str], None], todo: Sequence[int], window: int) -> None:
        """`write` takes an index and its line; `window`: how many results may be awaited at once."""
        self._write = write
        self._todo = todo
        self._places = {index: place for place, index in enumerate(todo)}
        self._next = 0
        self._window = window
        self._waiting: dict[int, dict[str, Any]] = {}
        self._changed = asyncio.Event()
        self._closed = False

    def put(self, index: int, result: dict[str, Any]) -> None:
        """Writes a result, and those that waited for it, or keeps it until its turn comes."""
        self._waiting[self._places[index]] = result
        while self._next in self._waiting:
            line = safe_json(json.dumps(self._waiting.pop(self._next), ensure_ascii=False, allow_nan=False))
            self._write(self._todo[self._next], f"{line}\n")
            self._next += 1
        self._wake()

    async def room(self, index: int) -> bool:
        """Waits until a request with this index may start; False when none may any more."""
        while not self._closed and self._places[index] >= self._next + self._window:
            await self._changed.wait()
        return not self._closed

    def close(self) -> None:
        """Lets no further request start."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


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
            raise TokscopeError(
                f"cannot write {self._name}: {error.strerror}", hint="the existing lines are kept"
            ) from error

    def close(self) -> None:
        """Closes the file; `write` has reported what could not be written."""
        try:
            self._file.close()
        except OSError:
            return


_N_REPORTS = 10


class Progress(AbstractContextManager["Progress"], Protocol):
    """Told of every line that is done."""

    def advance(self, *, failed: bool) -> None:
        """One more line is done."""
        ...


class _Counts:
    def __init__(self, n_total: int, n_done: int) -> None:
        self._n_total, self._n_done, self._n_failed = n_total, n_done, 0

    def __enter__(self) -> _Counts:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def advance(self, *, failed: bool) -> None:
        before, self._n_done = self._n_done, self._n_done + 1
        self._n_failed += failed
        if before * _N_REPORTS // self._n_total != self._n_done * _N_REPORTS // self._n_total:
            console.print_stderr(f"tok: {self._n_done} of {self._n_total} lines, {self._n_failed} failed")


class _Bar:
    def __init__(self, n_total: int, n_done: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[n_failed]} failed"))
        times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        self._bar = RichProgress(*columns, *times, console=Console(stderr=True), redirect_stdout=False)
        self._n_failed = 0
        self._task = self._bar.add_task("", total=n_total, completed=n_done, n_failed=0)

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def advance(self, *, failed: bool) -> None:
        self._n_failed += failed
        self._bar.update(self._task, advance=1, n_failed=self._n_failed)


def progress_for(n_total: int, n_done: int, *, bar: bool = True) -> Progress:
    """Returns what standard error can show; `bar` False leaves the terminal to the results."""
    err = sys.stderr
    terminal = err is not None and err.isatty()  # pyright: ignore[reportUnnecessaryComparison] -- None for `2>&-`
    return (_Bar if terminal and bar else _Counts)(n_total, n_done)
