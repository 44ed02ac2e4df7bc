"""From a damaged database into a new one: every row that can be read, put back into its conversation.

A row is known by its shape, which the tables of now give: STRICT types, and which columns may be empty. No row is
made up but a conversation whose own row is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import apsw
from msgspec import Struct

from app.domain.text import one_line
from app.store.pages import Pages, Value
from app.store.sql import execute

_TYPES: Mapping[str, type] = {"INTEGER": int, "TEXT": str, "REAL": float, "BLOB": bytes}
_TABLES = ("conversation", "message", "generation", "trace")
_N_TITLE = 60
_ROLES = frozenset({"system", "user", "assistant"})


class Salvaged(Struct, frozen=True):
    """How much was read, and how much is known to be lost."""

    n_conversations: int
    n_messages: int
    n_missing: int
    """Messages that others answer, or belong to, and that could not be read."""


class _Column(Struct, frozen=True):
    kind: type
    may_be_empty: bool
    may_be_missing: bool
    """Whether rows from before the column was added lack it."""


def salvage(path: Path, target: apsw.Connection) -> Salvaged:
    """Reads the rows of the file at `path`, which stays as it is, into the empty tables of `target`.

    Call it in a transaction. Raises OSError when the file cannot be read.
    """
    shapes = {table: _columns(target, table) for table in _TABLES}
    found: dict[str, dict[int, list[Value]]] = {table: {} for table in _TABLES}
    for rowid, values in Pages(path).rows():
        table = next((table for table in _TABLES if _fits(values, shapes[table])), None)
        if table and (table != "message" or values[3] in _ROLES):
            found[table][rowid] = values
    n_missing = _mend(found["conversation"], found["message"])
    execute(target, "PRAGMA defer_foreign_keys = ON")
    for table in _TABLES:
        names = _names(target, table)
        for rowid, values in sorted(found[table].items()):
            if table in ("conversation", "message") or rowid in found["message"]:
                marks = ", ".join("?" * len(values))
                columns = ", ".join(names[: len(values)])
                execute(target, f"INSERT INTO {table} ({columns}) VALUES ({marks})", [rowid, *values[1:]])
    return Salvaged(len(found["conversation"]), len(found["message"]), n_missing)


def _mend(conversations: dict[int, list[Value]], messages: dict[int, list[Value]]) -> int:
    """Gives every message a conversation and a parent that are there; returns how many messages are known to be lost.

    A message whose parent is lost follows the one before it in its conversation.
    """
    lost: set[Value] = set()
    newest: dict[Value, int] = {}
    for rowid, values in sorted(messages.items()):
        conversation_id, parent = values[1], values[2]
        if not isinstance(conversation_id, int):
            continue
        if conversation_id not in conversations:
            title = one_line(str(values[4]), _N_TITLE) or "Recovered conversation"
            conversations[conversation_id] = [None, title, None, values[7], values[7], None]
        if parent is not None and not _is_in(messages, parent, conversation_id):
            lost.add(parent)
            values[2] = newest.get(conversation_id)
        newest[conversation_id] = rowid
    for rowid, values in conversations.items():
        tip = values[2]
        if tip is not None and not _is_in(messages, tip, rowid):
            lost.add(tip)
            values[2] = None
        if values[2] is None:
            values[2] = newest.get(rowid)
    return len(lost)


def _is_in(messages: dict[int, list[Value]], message_id: Value, conversation_id: int) -> bool:
    return isinstance(message_id, int) and message_id in messages and messages[message_id][1] == conversation_id


def _columns(connection: apsw.Connection, table: str) -> list[_Column]:
    columns: list[_Column] = []
    for _, _, kind, not_null, default, key in execute(connection, f"PRAGMA table_info({table})"):
        empty = bool(key) or not not_null
        columns.append(_Column(_TYPES[str(kind)], empty, not key and (not not_null or default is not None)))
    return columns


def _names(connection: apsw.Connection, table: str) -> list[str]:
    return [str(row[1]) for row in execute(connection, f"PRAGMA table_info({table})")]


def _fits(values: list[Value], columns: list[_Column]) -> bool:
    if not values or len(values) > len(columns) or values[0] is not None:
        return False
    if not all(column.may_be_missing for column in columns[len(values) :]):
        return False
    return all(_may_hold(column, value) for column, value in zip(columns, values, strict=False))


def _may_hold(column: _Column, value: Value) -> bool:
    if value is None:
        return column.may_be_empty
    # SQLite stores a REAL without a fraction as an integer.
    return isinstance(value, (float, int) if column.kind is float else column.kind)
