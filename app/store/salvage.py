"""From a damaged database into a new one: reads rows from the file's pages and rebuilds the conversations."""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path

import apsw
from msgspec import Struct

from app.domain.text import one_line
from app.store.sql import execute

Value = int | float | str | bytes | None
_PAGE_SIZES = {1 << n for n in range(9, 17)}
_LEAF = 0x0D
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
"""Bytes of an integer by its serial type."""
_LOG_MAGIC = {0x377F0682: "<", 0x377F0683: ">"}
"""Byte order of the log's checksums."""


class DamagedError(ValueError):
    """A page or a row is not what the format says."""


class Pages:
    """The pages of a database file and its log, counted from 1. Raises OSError when the file is unreadable."""

    def __init__(self, path: Path) -> None:
        self._data = path.read_bytes()
        log = path.with_name(path.name + "-wal")
        self._log = _committed(log.read_bytes()) if log.exists() else {}
        self.size = self._page_size()
        self._n_pages = max([len(self._data) // self.size, *self._log])

    def rows(self) -> Generator[tuple[int, list[Value]]]:
        """The rowid and the values of each row of a table that can be read."""
        for number in range(1, self._n_pages + 1):
            try:
                page = self._page(number)
                cells = list(_cells(page, 100 if number == 1 else 0))
            except DamagedError:
                continue
            for at in cells:
                try:
                    yield self._row(page, at)
                except (DamagedError, IndexError, struct.error, UnicodeDecodeError):
                    continue

    def _page_size(self) -> int:
        if self._log:
            return len(next(iter(self._log.values())))
        size = int.from_bytes(self._data[16:18], "big")
        size = 65536 if size == 1 else size
        return size if size in _PAGE_SIZES and not len(self._data) % size else 4096

    def _page(self, number: int) -> bytes:
        if number in self._log:
            return self._log[number]
        page = self._data[(number - 1) * self.size : number * self.size]
        if number < 1 or len(page) < self.size:
            raise DamagedError
        return page

    def _row(self, page: bytes, at: int) -> tuple[int, list[Value]]:
        n_bytes, at = _varint(page, at)
        rowid, at = _varint(page, at)
        most = self.size - 35
        if n_bytes <= most:
            payload = page[at : at + n_bytes]
        else:
            least = (self.size - 12) * 32 // 255 - 23
            n_here = least + (n_bytes - least) % (self.size - 4)
            n_here = n_here if n_here <= most else least
            payload = page[at : at + n_here] + self._overflow(page, at + n_here, n_bytes - n_here)
        if len(payload) != n_bytes or rowid < 1:
            raise DamagedError
        return rowid, _record(payload)

    def _overflow(self, page: bytes, at: int, n_bytes: int) -> bytes:
        parts: list[bytes] = []
        while n_bytes:
            page = self._page(int.from_bytes(page[at : at + 4], "big"))
            parts.append(page[4 : 4 + n_bytes])
            n_bytes -= len(parts[-1])
            at = 0
        return b"".join(parts)


def _cells(page: bytes, at: int) -> Iterator[int]:
    """Where the cells of a table leaf page begin."""
    if page[at] != _LEAF:
        raise DamagedError
    n_cells = int.from_bytes(page[at + 3 : at + 5], "big")
    if at + 8 + 2 * n_cells > len(page):
        raise DamagedError
    return (int.from_bytes(page[i : i + 2], "big") for i in range(at + 8, at + 8 + 2 * n_cells, 2))


def _record(payload: bytes) -> list[Value]:
    n_header, at = _varint(payload, 0)
    types: list[int] = []
    while at < n_header:
        kind, at = _varint(payload, at)
        types.append(kind)
    if at != n_header:
        raise DamagedError
    values: list[Value] = []
    for kind in types:
        value, at = _value(payload, at, kind)
        values.append(value)
    if at != len(payload):
        raise DamagedError
    return values


def _value(payload: bytes, at: int, kind: int) -> tuple[Value, int]:
    if kind in (0, 8, 9):
        return (None if kind == 0 else kind - 8), at
    if kind in _INTEGERS:
        end = at + _INTEGERS[kind]
        return int.from_bytes(payload[at:end], "big", signed=True), end
    if kind == 7:
        return struct.unpack_from(">d", payload, at)[0], at + 8
    if kind < 12:
        raise DamagedError
    end = at + (kind - 12) // 2
    data = payload[at:end]
    return (data.decode() if kind % 2 else data), end


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for n in range(9):
        byte = data[at + n]
        if n == 8:
            value = value << 8 | byte
            return (value - (1 << 64) if value >= 1 << 63 else value), at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + n + 1
    raise DamagedError


def _committed(log: bytes) -> dict[int, bytes]:
    """The newest committed version of each page in a write-ahead log; empty where it is none."""
    if len(log) < 32 or (magic := int.from_bytes(log[:4], "big")) not in _LOG_MAGIC:
        return {}
    order, size, salts = _LOG_MAGIC[magic], int.from_bytes(log[8:12], "big"), log[16:24]
    if size not in _PAGE_SIZES:
        return {}
    sums = _checksum(log[:24], (0, 0), order)
    committed: dict[int, bytes] = {}
    since: dict[int, bytes] = {}
    for at in range(32, len(log) - size - 23, size + 24):
        header, page = log[at : at + 24], log[at + 24 : at + 24 + size]
        sums = _checksum(header[:8] + page, sums, order)
        if header[8:16] != salts or struct.pack(">II", *sums) != header[16:24]:
            break
        since[int.from_bytes(header[:4], "big")] = page
        if int.from_bytes(header[4:8], "big"):
            committed |= since
            since = {}
    return committed


def _checksum(data: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    first, second = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for i in range(0, len(words), 2):
        first = (first + words[i] + second) & 0xFFFFFFFF
        second = (second + words[i + 1] + first) & 0xFFFFFFFF
    return first, second


_TYPES: Mapping[str, type] = {"INTEGER": int, "TEXT": str, "REAL": float, "BLOB": bytes}
_TABLES = ("conversation", "message", "generation", "trace", "draft")
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
            if table in ("conversation", "message", "draft") or rowid in found["message"]:
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
