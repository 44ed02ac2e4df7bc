"""Runs SQL with types, and turns SQLite's errors into sentences: which file, what happened, what to do next."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import apsw

from app.domain.errors import StoreError


def store_error(path: Path | None, error: Exception) -> StoreError:
    """Returns a StoreError for `error` of the database at `path` (None: in memory)."""
    what, hint = _explain(path, error)
    return StoreError(f"{path or 'conversations in memory'}: {what}", hint)


def _explain(path: Path | None, error: Exception) -> tuple[str, str]:
    match error:
        case apsw.FullError():
            return (
                f"the disk is full{_free(path)}",
                "Free some space. Until then the chat continues in memory.",
            )
        case apsw.ReadOnlyError() | apsw.CantOpenError() | apsw.PermissionsError() | apsw.AuthError() | OSError():
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            hint = "Make the folder writable, or set TOKSCOPE_DATA_DIR to a writable one."
            verb = "written" if path and path.is_file() else "opened or written"
            return f"cannot be {verb} ({reason})", hint
        case apsw.BusyError() | apsw.LockedError():
            return "another program is using the database", "Close the program that uses it, then try again."
        case apsw.CorruptError() | apsw.NotADBError():
            return (
                "the database is damaged",
                "Restart tokscope: it recovers what it can and keeps the damaged file.",
            )
        case apsw.IOError():
            return f"reading or writing failed ({error}{_free(path)})", "Check the disk and its free space."
        case _:
            return f"unexpected failure ({error})", ""


def _free(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return f", {shutil.disk_usage(path.parent).free:,} bytes free"
    except OSError:
        return ""


# pyright: reportUnknownMemberType=false


Value = str | int | float | bytes | None


def execute(connection: apsw.Connection, sql: str, bindings: Sequence[Value] | Mapping[str, Value] = ()) -> apsw.Cursor:
    """Runs `sql`, one statement or several; data goes in `bindings` only. Raises apsw.Error."""
    return connection.execute(sql, bindings)


def pragma(connection: apsw.Connection, name: str) -> str | int:
    """Returns the first value of a pragma. Raises apsw.Error."""
    return connection.pragma(name)
