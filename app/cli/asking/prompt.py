"""Makes one prompt of the argument, standard input and files; refuses what no model can read."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from app.domain.errors import UsageError
from app.domain.text import one_line

MAX_INPUT_BYTES = 8 << 20
"""More text than any context window holds; a larger input is a mistake worth telling early."""

_STANDARD = Path("-")


def gather_prompt(argument: str | None, files: Sequence[Path], command: str = "ask") -> str:
    """Returns the argument, what was piped in and each file under a header, a blank line between them, for a command.

    A file named `-` is standard input, which then stands there and not before the files. Raises UsageError when there
    is nothing to ask, or an input is unreadable, binary or too large.
    """
    piped_in = "" if _STANDARD in files else _piped_text()
    parts = [argument or "", piped_in, *(_file_block(path) for path in files)]
    prompt = "\n\n".join(part for part in parts if part.strip())
    if not prompt:
        raise UsageError("there is nothing to ask", hint=f'tok {command} "Write a haiku about rain"')
    return prompt


def _file_block(path: Path) -> str:
    if path == _STANDARD:
        if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison] -- Python sets it to None for `<&-`
            raise UsageError("standard input is closed")
        return _read_text(sys.stdin.buffer, "standard input")
    try:
        with path.open("rb") as stream:
            text = _read_text(stream, str(path))
    except OSError as error:
        raise UsageError(f"cannot read {one_line(str(path))}: {error.strerror}") from error
    return f"--- {one_line(path.name)} ---\n{text}"


def _piped_text() -> str:
    return piped(_read_text) or ""


def piped(read: Callable[[BinaryIO, str], str]) -> str | None:
    """What `read` makes of standard input; None where a terminal or /dev/null is there, which have nothing to say."""
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison] -- Python sets it to None for `<&-`
        return None
    mode = os.fstat(0).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)):
        return None
    return read(sys.stdin.buffer, "standard input")


def exact_text(stream: BinaryIO, name: str) -> str:
    """The text of a stream as it is. Raises UsageError where it is too large, binary or not UTF-8."""
    data = stream.read(MAX_INPUT_BYTES + 1)
    if len(data) > MAX_INPUT_BYTES:
        raise UsageError(f"{one_line(name)} is larger than {MAX_INPUT_BYTES >> 20} MiB")
    if b"\0" in data:
        raise UsageError(f"{one_line(name)} is not text", hint="a model reads text only")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{one_line(name)} is not UTF-8 text (byte {error.start})", hint="a model reads text only"
        ) from error


def _read_text(stream: BinaryIO, name: str) -> str:
    return exact_text(stream, name).removeprefix("\ufeff").replace("\r\n", "\n").strip("\n")
