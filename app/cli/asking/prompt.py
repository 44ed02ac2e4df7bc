"""Makes one prompt of the argument, standard input and files; refuses what no model can read."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from app.domain.errors import UsageError
from app.domain.text import one_line

MAX_INPUT_BYTES = 8 << 20
"""More text than any context window holds; a larger input is a mistake worth telling early."""


def gather_prompt(argument: str | None, files: Sequence[Path]) -> str:
    """Returns the argument, what was piped in and each file under a header, with a blank line between them.

    Raises UsageError when there is nothing to ask, or an input is unreadable, binary or too large.
    """
    parts = [argument or "", _piped_text(), *(_file_block(path) for path in files)]
    prompt = "\n\n".join(part for part in parts if part.strip())
    if not prompt:
        raise UsageError("there is nothing to ask", hint='tok ask "Write a haiku about rain"')
    return prompt


def _file_block(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            text = _read_text(stream, str(path))
    except OSError as error:
        raise UsageError(f"cannot read {one_line(str(path))}: {error.strerror}") from error
    return f"--- {one_line(path.name)} ---\n{text}"


def _piped_text() -> str:
    # A terminal or /dev/null has nothing to say; only a pipe, a file or a socket is read to its end.
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison] -- Python sets it to None for `<&-`
        return ""
    mode = os.fstat(0).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)):
        return ""
    return _read_text(sys.stdin.buffer, "standard input")


def _read_text(stream: BinaryIO, name: str) -> str:
    data = stream.read(MAX_INPUT_BYTES + 1)
    if len(data) > MAX_INPUT_BYTES:
        raise UsageError(f"{one_line(name)} is larger than {MAX_INPUT_BYTES >> 20} MiB")
    if b"\0" in data:
        raise UsageError(f"{one_line(name)} is not text", hint="only text can be added to a prompt")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").strip("\n")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{one_line(name)} is not UTF-8 text (byte {error.start})", hint="only text can be added to a prompt"
        ) from error
