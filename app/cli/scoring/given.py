"""The text of a command, byte for byte: offsets into it must fit what the user has."""

from __future__ import annotations

from pathlib import Path

from app.cli.asking.prompt import exact_text, piped
from app.domain.errors import UsageError
from app.domain.text import one_line


def given_text(argument: str | None, file: Path | None, example: str) -> str:
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
        raise UsageError("there is no text", hint=example)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"the text is not UTF-8 (character {error.start})") from error
    return text
