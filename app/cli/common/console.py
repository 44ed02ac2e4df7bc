"""The two sinks: data on standard output, messages on standard error; and rows of text in columns."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from collections.abc import Sequence
from typing import Any, cast

from app.cli.common.exit_codes import ExitCode
from app.domain.errors import TokscopeError
from app.domain.text import one_line, safe_json, safe_text


class OutputClosedError(Exception):
    """Whoever read our standard output has gone away (`tok ask … | head -1`); nothing can be printed.

    Attributes:
        hung_up: whether it was a terminal, as SIGHUP says too, before or after the write that failed.
    """

    def __init__(self, *, hung_up: bool = False) -> None:
        super().__init__()
        self.hung_up = hung_up


def open_standard_streams() -> None:
    """Gives the descriptors 0, 1 and 2 something to point at, so that no file or pipe of ours takes their place."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    out: object = sys.stdout
    if isinstance(out, io.TextIOWrapper):
        cast("io.TextIOWrapper", out).reconfigure(errors="replace")


def flush_or_abandon() -> None:
    """Leaves nothing in standard output's buffer that Python could fail to write at exit."""
    try:
        if sys.stdout is not None:  # pyright: ignore[reportUnnecessaryComparison] -- see write_out
            sys.stdout.flush()
    except OSError:
        _abandon_stdout()


def write_out(text: str) -> None:
    """Writes data and flushes it. Raises OutputClosedError, or TokscopeError where the disk is full and the like."""
    out = sys.stdout
    if out is None:  # pyright: ignore[reportUnnecessaryComparison] -- Python sets it to None for `>&-`
        raise TokscopeError("standard output is closed", hint="redirect it to a file or to /dev/null")
    try:
        out.write(text)
        out.flush()
    except OSError as error:
        _abandon_stdout()
        if error.errno in (errno.EPIPE, errno.ECONNRESET, errno.EIO):
            raise OutputClosedError(hung_up=error.errno == errno.EIO) from error
        raise TokscopeError(f"cannot write to standard output: {error.strerror}") from error


def print_line(text: str = "") -> None:
    """Writes one line of data; text for people is made safe, because a terminal may be reading."""
    write_out(f"{safe_text(text)}\n")


def json_of(value: object, *, indent: int | None = None) -> str:
    """Returns `value` as JSON that a terminal can be given: whatever would act on it is escaped in the strings."""
    return safe_json(json.dumps(value, ensure_ascii=not _speaks_utf8(), indent=indent, allow_nan=False))


def print_json(value: object, *, indent: int | None = None) -> None:
    """Writes one JSON document, as `json_of` gives it, and a newline."""
    write_out(json_of(value, indent=indent) + "\n")


def print_error(message: str, hint: str = "") -> None:
    """Tells a person on standard error what went wrong and what to do next."""
    print_stderr(f"tok: {message}")
    if hint:
        print_stderr(f"hint: {hint}")


def print_stderr(text: str) -> None:
    """Writes one line to standard error; a standard error that is gone is no reason to fail."""
    try:
        print(safe_text(text), file=sys.stderr, flush=True)
    except OSError:
        return


def error_object(message: str, hint: str, code: ExitCode) -> dict[str, dict[str, Any]]:
    """Returns what `--json` prints in place of an answer: `{"error": {"code", "kind", "message", "hint"}}`."""
    kind = code.name.lower()
    return {"error": {"code": int(code), "kind": kind, "message": message, "hint": hint}}


def page(text: str) -> None:
    """Shows text in the user's pager; it must be safe for a terminal."""
    from pydoc import pager

    os.environ.setdefault("LESS", "-FRX")  # no pager if the text fits the screen
    pager(text)


def stdout_is_terminal() -> bool:
    """Whether a terminal would interpret what we write to standard output."""
    out = sys.stdout
    return out is not None and out.isatty()  # pyright: ignore[reportUnnecessaryComparison] -- see write_out


def _speaks_utf8() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def _abandon_stdout() -> None:
    # Python flushes stdout again at exit; what is left in its buffer must go nowhere.
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.close(devnull)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a header and rows, each column as wide as its widest cell; cells are made safe and one line."""
    cells = [list(header), *([one_line(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for row in cells:
        print_line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
