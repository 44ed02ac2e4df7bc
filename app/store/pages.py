"""Reads the rows of tables straight from the pages of an SQLite file, whatever is damaged beside them.

By "Database File Format" (sqlite.org/fileformat2.html): every table leaf page (type 0x0D) is read by itself, so that a
lost schema, index or interior page costs no row. What the log holds of committed transactions is laid over the file.
Rows that were deleted are not found again: the store has SQLite overwrite them.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator
from pathlib import Path

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
