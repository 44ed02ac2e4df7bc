"""Which instances of the program have the database open: each holds a lock that the system frees when it dies.

An instance is a file in the folder `NAME.live` beside the database, locked through SQLite itself, whose locks work
alike on every platform and within one process. A process id would be given to another process some day, or mean
another one in a container; a lock can not. A clean end removes it: a file that nobody locks is left by an unclean end.
Callers hold the database's write lock, so that no two instances look and join at once.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import apsw

from app.store.files import private_file, private_folder
from app.store.sql import execute


class Presence:
    """This instance's own mark."""

    def __init__(self, path: Path, lock: apsw.Connection) -> None:
        self.token = path.name
        self._path = path
        self._lock = lock

    def leave(self, *, clean: bool) -> None:
        """Gives the mark up. Not `clean` leaves the file: the next one to open the database checks it."""
        self._lock.close()
        if clean:
            self._path.unlink(missing_ok=True)


def live_folder(database: Path) -> Path:
    """Where the marks lie."""
    return database.with_name(database.name + ".live")


def join(database: Path) -> Presence:
    """Marks this process as one that has the database open. Raises OSError or apsw.Error."""
    path = private_folder(live_folder(database)) / secrets.token_hex(8)
    private_file(path)
    lock = _lock(path)
    if lock is None:
        raise apsw.BusyError(f"{path.name} is locked already")
    return Presence(path, lock)


def survey(database: Path) -> tuple[set[str], list[Path]]:
    """Returns the tokens of the instances that live, and the files of those that died."""
    live: set[str] = set()
    dead: list[Path] = []
    folder = live_folder(database)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        lock = _lock(path)
        if lock:
            lock.close()
            dead.append(path)
        else:
            live.add(path.name)
    return live, dead


def _lock(path: Path) -> apsw.Connection | None:
    lock = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        execute(lock, "PRAGMA journal_mode = OFF")
        execute(lock, "BEGIN EXCLUSIVE")
    except apsw.BusyError:
        lock.close()
        return None
    return lock
