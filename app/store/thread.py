"""One database on one thread of its own, as coroutines: opened when it is needed, and again where that failed.

Knows no table. Every method raises StoreError and nothing else; a later call may work again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import apsw

from app.domain.errors import StoreError
from app.store.database import BUSY_MS, Database
from app.store.sql import store_error

T = TypeVar("T")

_QUICK_MS = 200
"""How long a call that is made again and again waits for a lock of another program."""


class StoreThread:
    """Runs one call after another.

    Attributes:
        path: None in memory.
        notices: what the user should know about the last opening.
        database: None until the first call; for this thread alone.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.notices: tuple[str, ...] = ()
        self.database: Database | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._seen = 0
        self._closed = False

    async def open(self) -> None:
        """Opens the database now; ends the thread where that fails."""
        try:
            await self.call(self._ready)
        except BaseException:
            self.shutdown()
            raise

    async def close(self) -> None:
        """Ends it after what is under way. Idempotent."""
        if self._closed:
            return
        self._closed = True

        def end() -> None:
            if self.database:
                self.database.close()

        try:
            await self._on_thread(end)
        finally:
            self.shutdown()

    def shutdown(self) -> None:
        """Lets the thread end by itself."""
        self._thread.shutdown(wait=False)

    async def changed(self) -> bool:
        """Whether another connection has written since the last call; waits a moment at most."""

        def work() -> bool:
            before, self._seen = self._seen, self._ready(quick=True).version
            return before != self._seen

        return await self.call(work)

    async def read(self, work: Callable[[apsw.Connection], T]) -> T:
        """Runs `work` on what was committed last."""

        def run() -> T:
            with self._ready().read() as connection:
                return work(connection)

        return await self.call(run)

    async def write(self, work: Callable[[apsw.Connection, Database], T], *, quick: bool = False) -> T:
        """Runs `work` in a transaction; `quick` waits a moment at most for a lock of another program."""

        def run() -> T:
            database = self._ready(quick=quick, to_write=True)
            with database.write() as connection:
                return work(connection, database)

        return await self.call(run)

    async def use(self, work: Callable[[Database], T]) -> T:
        """Runs `work` on the database, to be written, outside a transaction."""
        return await self.call(lambda: work(self._ready(to_write=True)))

    async def call(self, work: Callable[[], T]) -> T:
        """Runs `work`."""
        if self._closed:
            raise StoreError("the conversations are closed already")
        return await self._on_thread(work)

    def _ready(self, *, quick: bool = False, to_write: bool = False) -> Database:
        """The open database; opens it where it is not, and again where it could only be read and shall be written."""
        busy_ms = _QUICK_MS if quick else BUSY_MS
        database = self.database
        if database and (error := database.replaced):
            self.database = None
            database.close()
            raise error
        if database is None or (to_write and database.read_only):
            opened = Database(self.path, busy_ms, or_read=not to_write or database is None)
            self.database, self._seen, self.notices = opened, opened.version, opened.notices
            if database:
                database.close()
            database = opened
        database.wait_at_most(busy_ms)
        return database

    async def _on_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (apsw.Error, OSError, UnicodeError) as error:
            raise store_error(self.path, error) from error
