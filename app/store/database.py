"""One open database: opened, checked, migrated, mended and closed; transactions. Synchronous: it lives on one thread.

Knows the file, its locks and its schema, and nothing of conversations.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import apsw

from app.domain.errors import StoreError
from app.store import files as read_only
from app.store import presence
from app.store.files import back_up, private_file, private_folder, set_aside
from app.store.salvage import salvage
from app.store.schema import APPLICATION_ID, MIGRATIONS
from app.store.sql import execute, pragma, store_error

BUSY_MS = 5000
"""How long a call waits for another program's lock."""
_AGAIN_S = 0.01
_NOT_WRITABLE = (
    apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError, apsw.FullError, apsw.IOError, OSError
)  # fmt: skip


class Database:
    """An open database. Every method may raise apsw.Error, OSError or StoreError.

    Attributes:
        path: None in memory.
        owner: names this instance in the rows that it is writing.
        notices: what the user should know about the opening.
        read_only: why nothing can be written; None when it can.
    """

    def __init__(self, path: Path | None, busy_ms: int = BUSY_MS, *, or_read: bool = True) -> None:
        """`or_read`: opens a file that cannot be written for reading, where it can be read; else that is an error."""
        self.path = path
        self.owner = ""
        self.notices: tuple[str, ...] = ()
        self.read_only: StoreError | None = None
        self._busy_ms = busy_ms
        self._presence: presence.Presence | None = None
        self._damaged = False
        if path is None:
            self.connection = apsw.Connection(":memory:")
            self._prepare()
            return
        before = None
        try:
            private_folder(path.parent)
            before = _identity(path)
            self.connection = self._open(path)
        except (apsw.NotADBError, apsw.CorruptError):
            aside = set_aside(path) if _identity(path) == before else None  # else another instance was quicker
            self.connection = self._open(path)
            if aside:
                read = self._salvage(aside)
                self.notices = (f"The database was damaged: {read} The damaged file is kept as {aside}.",)
        except _NOT_WRITABLE as error:
            if not or_read:
                raise
            self._open_to_read(path, error)
        self._identity = _identity(path)

    def close(self) -> None:
        """Ends it; the last instance folds the write-ahead log into the file."""
        self.connection.close()
        if self._presence:
            self._presence.leave(clean=not self._damaged)

    @property
    def replaced(self) -> StoreError | None:
        """Set once the file is not at its path any more, or another one is."""
        if not self.path or _identity(self.path) == self._identity:
            return None
        return StoreError(
            f"{self.path}: the database was removed or replaced while it was open",
            "The chat continues in memory and is saved to the new file.",
        )

    def wait_at_most(self, busy_ms: int) -> None:
        """Sets how long the calls from now on wait for a lock of another program."""
        self.connection.set_busy_timeout(busy_ms)

    @contextmanager
    def write(self) -> Generator[apsw.Connection]:
        """A transaction that is durable when the block has ended, or leaves nothing behind."""
        if self.read_only:
            raise self.read_only
        with self._watch(), self._immediate() as connection:
            yield connection

    @contextmanager
    def read(self) -> Generator[apsw.Connection]:
        """A place to read from; sees what was committed last."""
        with self._watch():
            yield self.connection

    def empty_log(self) -> None:
        """Writes the log into the file and truncates it, unless another instance is reading just now."""
        with suppress(apsw.BusyError):
            self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def end_dead_replies(self) -> None:
        """Makes STREAMING replies of instances that died INTERRUPTED; whoever opens the database does so too."""
        if self.path:
            with self.write() as connection:
                _interrupt_others(connection, presence.survey(self.path)[0])

    def live(self) -> set[str]:
        """Returns the owners that run now; call it in a transaction of `write`."""
        return presence.survey(self.path)[0] if self.path else set()

    @property
    def version(self) -> int:
        """A number that changes with every commit of another connection, and with none of this one's."""
        return int(pragma(self.connection, "data_version"))

    def _open(self, path: Path) -> apsw.Connection:
        private_file(path)
        self.connection = apsw.Connection(str(path))
        try:
            self._prepare()
            self._join(path)
        except BaseException:
            self.connection.close()
            if self._presence:
                self._presence.leave(clean=True)
                self._presence = None
            raise
        return self.connection

    def _salvage(self, damaged: Path) -> str:
        """Puts what can be read of a damaged file into this empty database; returns how much that was."""
        try:
            with self._immediate() as connection:
                saved = salvage(damaged, connection)
                _interrupt_others(connection, set())
        except (apsw.Error, OSError) as error:
            return f"nothing could be recovered ({error})."
        if not saved.n_messages:
            return "nothing could be recovered, and a new one was created."
        n = f"{saved.n_messages:,} messages of {saved.n_conversations:,} conversations were recovered"
        return f"{n}; at least {saved.n_missing:,} more are lost." if saved.n_missing else f"{n}."

    def _open_to_read(self, path: Path, error: Exception) -> None:
        """Opens it for reading; raises `error`, which says why it cannot be written, where that is not possible."""
        if not path.is_file() or not path.stat().st_size:
            raise error
        self.read_only = store_error(path, error)
        self.connection = read_only.connect(path, self._busy_ms)
        try:
            try:
                if self._check_ours() < len(MIGRATIONS):
                    self.connection = self._migrated_copy(self.connection)
            except (apsw.NotADBError, apsw.CorruptError):
                self.connection.close()
                self.connection = apsw.Connection(":memory:")
                self._prepare(back_up_first=False)
                self.notices = (f"The database is damaged: {self._salvage(path)}",)
            execute(self.connection, "PRAGMA query_only = ON")
        except BaseException:
            self.connection.close()
            raise

    def _migrated_copy(self, source: apsw.Connection) -> apsw.Connection:
        """A copy in memory with the tables of now; `source` is closed."""
        self.connection = apsw.Connection(":memory:")
        with self.connection.backup("main", source, "main") as backup:
            backup.step()
        source.close()
        self._prepare(back_up_first=False)
        return self.connection

    def _prepare(self, *, back_up_first: bool = True) -> None:
        connection = self.connection
        connection.set_busy_timeout(self._busy_ms)
        version = self._check_ours()
        self._log_ahead()
        execute(connection, "PRAGMA synchronous = FULL")
        execute(connection, "PRAGMA foreign_keys = ON")
        execute(connection, "PRAGMA secure_delete = ON")
        execute(connection, "PRAGMA temp_store = MEMORY")
        while version < len(MIGRATIONS):
            version = self._migrate(version, back_up_first=back_up_first)

    def _log_ahead(self) -> None:
        """Turns the write-ahead log on. Where several do so at once, SQLite refuses some whatever the timeout is."""
        ends_s = time.monotonic() + self._busy_ms / 1e3
        while True:
            try:
                execute(self.connection, "PRAGMA journal_mode = WAL")
                return
            except apsw.BusyError:
                if time.monotonic() > ends_s:
                    raise
                time.sleep(_AGAIN_S)

    def _check_ours(self) -> int:
        version = int(pragma(self.connection, "user_version"))
        tables = execute(self.connection, "SELECT count(*) FROM sqlite_schema").get
        if tables and pragma(self.connection, "application_id") != APPLICATION_ID:
            raise StoreError(f"{self.path}: belongs to another program", "Set TOKSCOPE_DATA_DIR to another folder.")
        if version > len(MIGRATIONS):
            raise StoreError(
                f"{self.path}: written by a newer tokscope (schema {version}, this one supports {len(MIGRATIONS)})",
                "Update tokscope, or set TOKSCOPE_DATA_DIR to another folder.",
            )
        return version

    def _migrate(self, version: int, *, back_up_first: bool) -> int:
        if version and self.path and back_up_first:
            back_up(self.connection, self.path, version)
        with self._immediate() as connection:
            now = int(pragma(connection, "user_version"))
            if now != version:
                return now
            for migration in MIGRATIONS[version:]:
                migration(connection)
            execute(connection, f"PRAGMA application_id = {APPLICATION_ID}")
            execute(connection, f"PRAGMA user_version = {len(MIGRATIONS)}")
        return len(MIGRATIONS)

    def _join(self, path: Path) -> None:
        """Becomes visible to other instances and ends the replies of those that died."""
        with self._immediate() as connection:
            live, dead = presence.survey(path)
            if dead:
                _check_whole(connection)
            self._presence = presence.join(path)
            self.owner = self._presence.token
            _interrupt_others(connection, live)
        for mark in dead:
            mark.unlink(missing_ok=True)

    @contextmanager
    def _immediate(self) -> Generator[apsw.Connection]:
        connection = self.connection
        execute(connection, "BEGIN IMMEDIATE")
        try:
            yield connection
            execute(connection, "COMMIT")
        except BaseException:
            if connection.in_transaction:
                execute(connection, "ROLLBACK")
            raise

    @contextmanager
    def _watch(self) -> Generator[None]:
        try:
            yield
        except (apsw.CorruptError, apsw.NotADBError):
            self._damaged = True
            raise


def _check_whole(connection: apsw.Connection) -> None:
    """Raises apsw.CorruptError where the file is damaged."""
    try:
        problem = pragma(connection, "quick_check")
    except apsw.SQLError as error:  # how a damaged index of texts, or a lost table, shows itself
        problem = error
    if problem != "ok":
        raise apsw.CorruptError(str(problem))


def _interrupt_others(connection: apsw.Connection, live: set[str]) -> None:
    marks = ", ".join("?" * len(live))
    execute(
        connection,
        "UPDATE message SET state = 'interrupted', owner = NULL"
        f" WHERE state = 'streaming' AND coalesce(owner, '') NOT IN ({marks})",
        tuple(live),
    )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
