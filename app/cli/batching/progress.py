"""How far a batch is, on standard error: a bar on a terminal, counts now and then elsewhere."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from typing import Protocol

from app.cli import console

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
            console.talk(f"tok: {self._n_done} of {self._n_total} lines, {self._n_failed} failed")


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
