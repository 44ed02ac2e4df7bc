"""Reads a file of conversations, whichever program wrote it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import msgspec

from app.archive.chatgpt import is_chatgpt, read_chatgpt
from app.archive.checks import NotUnderstoodError
from app.archive.document import FORMAT, read_document
from app.archive.llm_logs import SQLITE, read_llm_logs
from app.domain.archive import ImportedFile
from app.domain.files import read_regular
from app.domain.text import one_line

MAX_BYTES = 1 << 30


def read_archive(path: Path) -> ImportedFile:
    """Raises NotUnderstoodError, which names the file, if it cannot be read or is not an export."""
    name = one_line(str(path))
    try:
        data = read_regular(path, MAX_BYTES + 1)
    except OSError as error:
        raise NotUnderstoodError(f"cannot read {name}: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise NotUnderstoodError(f"{name} is larger than 1 GiB", "Export fewer conversations at a time.")
    try:
        return read_llm_logs(path) if data.startswith(SQLITE) else _read(data)
    except NotUnderstoodError as error:
        raise NotUnderstoodError(f"{name}: {error}", error.hint) from error


def _read(data: bytes) -> ImportedFile:
    try:
        document: Any = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotUnderstoodError(f"no valid JSON ({error})", _HINT) from error
    if isinstance(document, dict):
        fields = cast("dict[str, Any]", document)
        if fields.get("format") == FORMAT:
            return read_document(fields)
    if isinstance(document, list) and is_chatgpt(talks := cast("list[Any]", document)):
        return read_chatgpt(talks)
    raise NotUnderstoodError("not an export that tokscope can read", _HINT)


_HINT = "Give a file of `tok history export --format json`, ChatGPT's conversations.json or llm's logs.db."
