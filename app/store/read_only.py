"""Opens a database that cannot be written: a read-only folder, file or disk, or a full one.

A database in WAL mode needs its two side files. Which way works depends on what the last writer left behind.
"""

from __future__ import annotations

import os
from pathlib import Path

import apsw

from app.store.sql import execute, pragma

_FLAGS = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
_UNLOCKED_VFS = "unix-none" if os.name == "posix" else "win32-none"


def connect(path: Path, busy_ms: int) -> apsw.Connection:
    """Returns a connection that reads what was committed last. Raises apsw.Error.

    Three ways, in this order: beside a program that has it open; with a log that a dead one left, whose index is kept
    in memory; without a log.
    """
    error: apsw.Error | None = None
    for options, alone in (("mode=ro", False), (f"vfs={_UNLOCKED_VFS}", True), ("immutable=1", False)):
        connection = apsw.Connection(f"{path.absolute().as_uri()}?{options}", flags=_FLAGS)
        connection.set_busy_timeout(busy_ms)
        try:
            if alone:
                execute(connection, "PRAGMA locking_mode = EXCLUSIVE")
            pragma(connection, "schema_version")
        except (apsw.ReadOnlyError, apsw.CantOpenError, apsw.IOError, apsw.FullError) as failure:
            connection.close()
            error = failure
        except apsw.Error:
            connection.close()
            raise
        else:
            return connection
    assert error
    raise error
