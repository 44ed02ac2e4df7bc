"""A file system for SQLite whose n-th write fails: a full disk, or one that cannot be written.

SQLite keeps no write-ahead log over a file system written in Python, so the store runs with a rollback journal here.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator
from contextlib import contextmanager

import apsw

_NAMES = itertools.count()


class _File(apsw.VFSFile):
    def __init__(self, vfs: FailingVfs, name: apsw.URIFilename | str | None, flags: list[int]) -> None:
        super().__init__(vfs.base, name, flags)
        self._vfs = vfs

    def xWrite(self, data: bytes, offset: int) -> None:
        self._vfs.count()
        super().xWrite(data, offset)


class FailingVfs(apsw.VFS):
    """Set `fails_at` to fail that write, counted from then on, and all after it; None lets them pass."""

    def __init__(self, error: type[apsw.Error]) -> None:
        self._error = error
        self._n_writes = 0
        self._fails_at: int | None = None
        self.base = apsw.vfs_names()[0]
        super().__init__(f"failing-{next(_NAMES)}", self.base, makedefault=True)

    @property
    def fails_at(self) -> int | None:
        """The first write that fails."""
        return self._fails_at

    @fails_at.setter
    def fails_at(self, n: int | None) -> None:
        self._fails_at, self._n_writes = n, 0

    def count(self) -> None:
        """Counts one write, or fails it."""
        self._n_writes += 1
        if self._fails_at is not None and self._n_writes >= self._fails_at:
            raise self._error("the disk failed")

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]) -> apsw.VFSFile:
        return _File(self, name, flags)


@contextmanager
def failing_vfs(error: type[apsw.Error]) -> Generator[FailingVfs]:
    """Every database that is opened meanwhile lies on it."""
    vfs = FailingVfs(error)
    try:
        yield vfs
    finally:
        vfs.unregister()
