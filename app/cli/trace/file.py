"""Where a trace is written: a file that is never overwritten unasked, or standard output.

Each line is handed to the system at once and whole, so that a crash leaves whole lines.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from app.cli.common import console
from app.domain.errors import TokscopeError, UsageError
from app.domain.text import one_line

STDOUT = Path("-")


class LineSink(Protocol):
    """Takes the lines of a trace."""

    name: str
    """For people."""

    def write(self, line: bytes) -> None:
        """Raises TokscopeError where the line cannot be written."""
        ...


class _StandardOutput:
    name = "standard output"

    def write(self, line: bytes) -> None:
        console.write_out(line.decode())


class TraceFile:
    """See `opened`. An old file keeps its content, and a new one is not there, until the first line is written."""

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self.name = one_line(str(path))
        self._path = path
        self._is_new = not path.exists()
        is_special = not self._is_new and not path.is_file()
        guard = 0 if overwrite or is_special else os.O_EXCL
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | guard, 0o666)
        except FileExistsError:
            raise UsageError(f"{self.name} exists already", hint="use --overwrite to replace it") from None
        except OSError as error:
            raise UsageError(f"cannot write {self.name}: {error.strerror}") from error
        self._is_empty = True
        self._is_regular = not is_special

    def write(self, line: bytes) -> None:
        """Writes a whole line or raises TokscopeError; what is there stays."""
        try:
            if self._is_empty and self._is_regular:
                os.ftruncate(self._fd, 0)
            self._is_empty = False
            left = memoryview(line)
            while left:
                left = left[os.write(self._fd, left) :]
        except OSError as error:
            hint = "the lines written so far are kept"
            raise TokscopeError(f"cannot write {self.name}: {error.strerror}", hint) from error

    def close(self) -> None:
        """Ends it; a file that was made for nothing goes."""
        os.close(self._fd)
        if self._is_new and self._is_empty:
            self._path.unlink(missing_ok=True)


@contextmanager
def opened(path: Path, *, overwrite: bool) -> Generator[LineSink]:
    """Opens what a trace is written to; `-` is standard output. Raises UsageError where that cannot be."""
    if path == STDOUT:
        yield _StandardOutput()
        return
    file = TraceFile(path, overwrite=overwrite)
    try:
        yield file
    finally:
        file.close()
