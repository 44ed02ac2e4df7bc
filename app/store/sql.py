"""The one way to run SQL, with types: parts of apsw's own stub are unknown before Python 3.12 (`Buffer`)."""
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence

import apsw

Value = str | int | float | bytes | None


def execute(connection: apsw.Connection, sql: str, bindings: Sequence[Value] | Mapping[str, Value] = ()) -> apsw.Cursor:
    """Runs `sql`, one statement or several; data goes in `bindings` only. Raises apsw.Error."""
    return connection.execute(sql, bindings)


def pragma(connection: apsw.Connection, name: str) -> str | int:
    """The first value that a pragma tells. Raises apsw.Error."""
    return connection.pragma(name)
