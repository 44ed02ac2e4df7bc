"""Starts the engine's process as early as anybody knows that it is wanted, and ends it if nobody took it.

Spawning costs milliseconds; the worker then loads its native library while the app imports the rest of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Only for signatures: at run time each is imported when it is needed.
    from app.client.engine import Engine
    from app.client.process import WorkerProcess
    from app.client.worker_client import WorkerClient
    from app.protocol.events import EngineLost, Hello


class EngineLauncher:
    """Holds at most one early process. `make` replaces the real engine; tests give a scripted one."""

    def __init__(self, make: Callable[[], Engine] | None = None) -> None:
        self._make = make
        self._early: WorkerProcess | None = None

    def __enter__(self) -> EngineLauncher:
        return self

    def __exit__(self, *_: object) -> None:
        if self._early is not None:
            self._early.discard()
            self._early = None

    def start_early(self) -> None:
        """Starts the worker's process; a failure is left to show itself when the engine is used."""
        from app.client.process import spawn
        from app.config.paths import engine_log_file

        if self._make is None:
            try:
                self._early = spawn(engine_log_file())
            except OSError:
                self._early = None

    def engine(self, log_path: Path | None = None) -> Engine:
        """Returns an engine over the early process, or over one that it starts itself. Call inside the event loop.

        With `log_path` it is one of its own, whose log and saved states lie there and not with the others.
        """
        if self._make is not None:
            return self._make()
        from app.remote.router import RoutingEngine

        return RoutingEngine(self._worker(log_path))

    def _worker(self, log_path: Path | None = None) -> WorkerClient:
        from app.client.worker_client import WorkerClient
        from app.config.paths import engine_log_file

        if log_path is not None:
            return WorkerClient(log_path)
        early, self._early = self._early, None
        return WorkerClient(engine_log_file(), process=early)

    async def forget(self, conversation_ids: Collection[int]) -> None:
        """Starts a worker, has it delete what it saved of these conversations, and ends it. Raises EngineLostError."""
        from app.client.engine import forget
        from app.client.worker_client import WorkerClient
        from app.domain.errors import EngineLostError
        from app.protocol.events import EngineLost

        engine = self._make() if self._make else self._worker()
        try:
            forget(engine, conversation_ids)
            if isinstance(engine, WorkerClient) and isinstance(lost := await engine.start(), EngineLost):
                raise EngineLostError(
                    f"the engine could not delete the saved states of erased conversations: {lost.reason}",
                    "Delete the folder `kv` in the cache folder yourself.",
                )
        finally:
            await engine.close()

    def greet(self) -> Hello | EngineLost:
        """Starts a worker, returns what it says of itself or why it could not, and ends it."""
        import asyncio

        from app.client.worker_client import WorkerClient
        from app.config.paths import engine_log_file

        async def greeting() -> Hello | EngineLost:
            client = WorkerClient(engine_log_file())
            try:
                return await client.start()
            finally:
                await client.close()

        return asyncio.run(greeting())
