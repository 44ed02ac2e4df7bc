"""The database's files: private to the user, set aside when damaged, backed up, opened read-only if need be."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import apsw

from app.store.sql import execute, pragma

_FLAGS = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
_UNLOCKED_VFS = "unix-none"


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


_SIDE_FILES = ("-wal", "-shm", "-journal")


def private_folder(path: Path) -> Path:
    """Creates the folder, and what is missing above it, for this user only. Returns it. Raises OSError."""
    missing = [p for p in (path, *path.parents) if not p.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)
    return path


def private_file(path: Path) -> None:
    """Creates the file if need be and makes it this user's only; SQLite gives its side files the same mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)


def set_aside(database: Path) -> Path:
    """Moves a damaged database and its side files to the first free `NAME.corrupt-<n>`; returns that name."""
    n = 1
    while (target := database.with_name(f"{database.name}.corrupt-{n}")).exists():
        n += 1
    for suffix in ("", *_SIDE_FILES):
        source = database.with_name(database.name + suffix)
        if source.exists():
            source.rename(target.with_name(target.name + suffix))
    return target


def damaged_copies(database: Path) -> list[Path]:
    """The files that `set_aside` moved away."""
    return sorted(database.parent.glob(f"{_glob_escape(database.name)}.corrupt-*"))


_LEAST_BYTES = 8
"""Shorter texts are in every file: they do not show whose file it is."""
_PART_BYTES = 64
_STEP_BYTES = 1024


def copies_with(copies: Sequence[Path], texts: Sequence[str]) -> list[Path]:
    """Returns those of `copies` that hold part of any of `texts`, a damaged database with its side files."""
    parts = [part for text in texts for part in _parts(text.strip().encode("utf-8", "replace"))]
    holding = {_main_file(copy) for copy in copies if _holds(copy, parts)}
    return [copy for copy in copies if _main_file(copy) in holding]


def _parts(text: bytes) -> Iterator[bytes]:
    # The pages of a database cut a text anywhere, at most every few hundred bytes.
    if len(text) >= _LEAST_BYTES:
        last = max(0, len(text) - _PART_BYTES)
        for at in (*range(0, last, _STEP_BYTES), last):
            yield text[at : at + _PART_BYTES]


def _holds(path: Path, parts: Sequence[bytes]) -> bool:
    try:
        data = path.read_bytes()
    except OSError:
        return False
    return any(part in data for part in parts)


def _main_file(path: Path) -> str:
    return next((path.name.removesuffix(side) for side in _SIDE_FILES if path.name.endswith(side)), path.name)


def backups(database: Path) -> list[Path]:
    """The copies made by `back_up`."""
    return sorted(database.parent.glob(f"{_glob_escape(database.name)}.backup-v*"))


def delete_backups(database: Path | None) -> None:
    """Deletes those copies; none in memory (None)."""
    for copy in backups(database) if database else ():
        copy.unlink(missing_ok=True)


def back_up(connection: apsw.Connection, database: Path, version: int) -> Path:
    """Copies the database, as it is at schema `version`, to `NAME.backup-v<version>`; whole or not at all."""
    target = database.with_name(f"{database.name}.backup-v{version}")
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    private_file(part)
    copy = apsw.Connection(str(part))
    try:
        with copy.backup("main", connection, "main") as backup:
            backup.step()
    finally:
        copy.close()
    part.replace(target)
    return target


def _glob_escape(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
