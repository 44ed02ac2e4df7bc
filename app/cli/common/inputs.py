"""Reads what a command is given: a prompt from argument, standard input and files, a grammar, a JSON Schema."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from app.domain.errors import UsageError
from app.domain.text import one_line

MAX_BYTES = 1 << 20
"""No grammar is longer; a longer file is a mistake."""


def read_grammar(path: Path) -> str:
    """Returns the text of a grammar; the engine reads it later. Raises UsageError."""
    text = _read(path)
    if not text.strip():
        raise UsageError(f"{_shown(path)} is empty", hint="GBNF needs a rule named root, Lark one named start")
    return text


def read_schema(path: Path) -> str:
    """Returns the text of a JSON Schema. Raises UsageError with line and column of what is not JSON."""
    text = _read(path)
    try:
        schema: object = json.loads(text)
    except json.JSONDecodeError as error:
        place = f"{_shown(path)}:{error.lineno}:{error.colno}"
        raise UsageError(f"{place}: not JSON: {error.msg}", hint="a schema is a JSON object") from error
    except (RecursionError, ValueError) as error:
        raise UsageError(f"{_shown(path)} is not valid JSON: {error}") from error
    if not isinstance(schema, dict | bool):
        raise UsageError(f"{_shown(path)} is not a JSON object", hint='as in {"type": "array"}')
    return text


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise UsageError(f"{_shown(path)} is longer than {MAX_BYTES >> 20} MiB")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read {_shown(path)}: {error.strerror}", hint="give the path of a file") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{_shown(path)} is not UTF-8 text (byte {error.start})") from error


def _shown(path: Path) -> str:
    return one_line(str(path))


MAX_INPUT_BYTES = 8 << 20
"""More text than any context window holds; a larger input is refused early."""

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
        raise UsageError(f"{one_line(name)} is not text", hint="give a text file in UTF-8")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{one_line(name)} is not UTF-8 text (byte {error.start})", hint="give a text file in UTF-8"
        ) from error


def _read_text(stream: BinaryIO, name: str) -> str:
    return exact_text(stream, name).removeprefix("\ufeff").replace("\r\n", "\n").strip("\n")


def read_input_text(argument: str | None, file: Path | None, example: str) -> str:
    """Returns the argument, else the file (`-` is standard input), else what was piped in. Nothing is stripped.

    Raises UsageError when there is no text or two, or when it is unreadable, binary or too large; `example` is a
    command line that would do.
    """
    if argument is not None and file is not None:
        raise UsageError("a TEXT and a --file exclude each other")
    if argument is not None:
        text = argument
    elif file is None or str(file) == "-":
        text = piped(exact_text) or ""
    else:
        try:
            with file.open("rb") as stream:
                text = exact_text(stream, str(file))
        except OSError as error:
            raise UsageError(f"cannot read {one_line(str(file))}: {error.strerror}") from error
    if not text:
        raise UsageError("the text is missing", hint=example)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"the text is not UTF-8 (character {error.start})") from error
    return text
