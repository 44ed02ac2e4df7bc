"""Reads what an answer must follow: a file with a grammar or a JSON Schema.

Checks what can be checked without the engine: that the file is there, is text and, for a schema, is JSON.
"""

from __future__ import annotations

import json
from pathlib import Path

from app.domain.errors import UsageError
from app.domain.text import one_line

MAX_BYTES = 1 << 20
"""No grammar is longer; a longer file is a mistake."""


def read_grammar(path: Path) -> str:
    """Returns the text of a grammar; the engine reads it later. Raises UsageError."""
    text = _read(path)
    if not text.strip():
        raise UsageError(
            f"{_shown(path)} is empty", hint="GBNF begins with a rule named root, Lark with one named start"
        )
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
        raise UsageError(f"{_shown(path)} is not JSON that can be read: {error}") from error
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
