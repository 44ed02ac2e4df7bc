"""`WorkerClient`: an Engine over a worker process that may die at any time.

Knows when a worker is started, started again, or left dead; what one worker's life looks like is `Connection`'s.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path

from app.client.connection import Connection, Graces
from app.client.engine import EngineState
from app.client.process import WorkerProcess, spawn
from app.client.supervision import MAX_CRASHES, CrashLog
from app.domain.generation import FinishReason, Timings, Usage
from app.protocol.codec import FrameError
from app.protocol.commands import Bench, Generate, LoadModel
from app.protocol.events import (
    BenchEvent,
    BenchFinished,
    EngineLost,
    GenerationEvent,
    GenerationFinished,
    Hello,
    LoadEvent,
    LoadFailed,
    LoadProgress,
    ModelReady,
)

_TOO_MANY = f"it died {MAX_CRASHES} times within minutes and is not started again by itself; load a model to try again"


class WorkerClient:
    """See `app.client.engine.Engine` for the contract."""

    def __init__(
        self,
        log_path: Path,
        *,
        process: WorkerProcess | None = None,
        argv: Sequence[str] | None = None,
        graces: Graces | None = None,
        crashes: CrashLog | None = None,
    ) -> None:
        """`process` is a worker that was spawned early, used as the first one; `argv` replaces the real worker."""
        self._log_path = log_path
        self._process = process
        self._argv = argv
        self._graces = graces or Graces()
        self._crashes = crashes or CrashLog()
        self._connection: Connection | None = None
        self._wanted: LoadModel | None = None
        self._unstartable = False
        self._closed = False
        self._starting = asyncio.Lock()
        self._loading = asyncio.Lock()
        self._reviving: asyncio.Task[EngineLost | LoadFailed | None] | None = None
        self._waiting: dict[int, asyncio.Event] = {}
        self._ids = itertools.count(1)
        # A worker inherits the priority of the thread that starts it, and the app may lower its own later on.
        self._spawner = ThreadPoolExecutor(1, "spawn")
        self._spawner.submit(int)

    @property
    def state(self) -> EngineState:
        """Where the engine stands."""
        connection = self._connection
        if self._closed or self._unstartable or (connection and connection.lost):
            return EngineState.LOST
        if connection is None or connection.hello is None:
            return EngineState.STARTING
        if connection.loading:
            return EngineState.LOADING
        return EngineState.READY if connection.model else EngineState.NO_MODEL

    @property
    def hello(self) -> Hello | None:
        """What the worker said of itself; None until it has."""
        return self._connection.hello if self._connection else None

    @property
    def model(self) -> ModelReady | None:
        """The model that is loaded."""
        return self._connection.model if self._connection else None

    def next_request_id(self) -> int:
        """A request id never used before with this client, whichever worker answers it."""
        return next(self._ids)

    async def start(self) -> Hello | EngineLost:
        """Makes sure that a worker runs and has said Hello; starts a new one in place of a dead one."""
        async with self._starting:
            if self._closed:
                return EngineLost(None, "closed")
            if self._connection is None or self._connection.lost:
                try:
                    process, self._process = self._process or await self._spawn(), None
                except OSError as error:
                    self._unstartable = True
                    return EngineLost(None, f"could not be started: {error}")
                self._unstartable = False
                if self._closed:
                    process.discard()
                    return EngineLost(None, "closed")
                self._connection = Connection(process, self._graces, self._on_lost)
            return await self._connection.greeted()

    async def _spawn(self) -> WorkerProcess:
        return await asyncio.get_running_loop().run_in_executor(self._spawner, spawn, self._log_path, self._argv)

    async def load(self, command: LoadModel) -> AsyncGenerator[LoadEvent]:
        """Loads a model; being asked for, it is tried however often the engine has crashed."""
        if self._reviving:
            self._reviving.cancel()  # who asks for a model does not wait for the last one to be back
        async with self._loading:
            self._crashes.clear()
            self._wanted = None
            async with aclosing(self._load(command)) as events:
                async for event in events:
                    yield event

    async def generate(self, command: Generate) -> AsyncGenerator[GenerationEvent]:
        """Runs one request, once a load in progress has ended and the last model is back after a loss."""
        request_id = command.request_id
        refusal = await self._readied(request_id)
        connection = self._connection
        if refusal or connection is None:
            yield refusal or EngineLost(None, "closed")
            return
        try:
            mailbox = connection.request(command)
        except FrameError as error:
            yield _failed(request_id, f"the conversation is too long to be sent: {error}")
            return
        try:
            while True:
                event = await mailbox.get()
                yield event
                if isinstance(event, GenerationFinished | EngineLost):
                    return
        finally:
            connection.leave_request(request_id)

    async def bench(self, command: Bench) -> AsyncGenerator[BenchEvent]:
        """Runs one measurement, as `generate` runs a request."""
        refusal = await self._readied(command.request_id)
        connection = self._connection
        if refusal or connection is None:
            if isinstance(refusal, GenerationFinished):
                yield BenchFinished(command.request_id, refusal.error or "it was aborted")
            else:
                yield refusal or EngineLost(None, "closed")
            return
        mailbox = connection.bench(command)
        try:
            while True:
                event = await mailbox.get()
                yield event
                if isinstance(event, BenchFinished | EngineLost):
                    return
        finally:
            connection.leave_request(command.request_id)

    def abort(self, request_id: int) -> None:
        """Asks for the end of a request and returns at once."""
        if waiting := self._waiting.get(request_id):
            waiting.set()
        elif self._connection:
            self._connection.abort(request_id)

    async def close(self) -> None:
        """Ends the worker, by force after a grace period. Idempotent."""
        self._closed = True
        self._spawner.shutdown(wait=False)
        if self._process:
            self._process.discard()
            self._process = None
        if self._connection:
            await self._connection.close()

    async def _readied(self, request_id: int) -> EngineLost | GenerationFinished | None:
        """Returns None when a model stands ready, else the event that ends the request."""
        aborted = self._waiting[request_id] = asyncio.Event()
        abort = asyncio.create_task(aborted.wait())
        try:
            while self.state is not EngineState.READY:
                if self._reviving is None or self._reviving.done():
                    self._reviving = asyncio.create_task(self._revive())
                revival = self._reviving
                await asyncio.wait((revival, abort), return_when=asyncio.FIRST_COMPLETED)
                if aborted.is_set():
                    return GenerationFinished(request_id, FinishReason.ABORT, Usage(), Timings())
                if not revival.cancelled() and (failure := revival.result()):
                    lost = isinstance(failure, EngineLost)
                    return failure if lost else _failed(request_id, failure.reason, failure.hint)
        finally:
            abort.cancel()
            del self._waiting[request_id]
        return None

    async def _revive(self) -> EngineLost | LoadFailed | None:
        """Waits for loads in progress; after a loss starts a worker and loads the last model again."""
        async with self._loading:
            connection = self._connection
            if connection and not connection.lost:
                await connection.idle()
            if connection and connection.model:
                return None
            if self._crashes.too_many:
                return EngineLost(None, _TOO_MANY)
            if self._wanted is None:
                return LoadFailed("no model is loaded", "load a model first")
            last: LoadEvent | None = None
            async for event in self._load(self._wanted):
                last = event
            return last if isinstance(last, EngineLost | LoadFailed) else None

    async def _load(self, command: LoadModel) -> AsyncGenerator[LoadEvent]:
        started = await self.start()
        connection = self._connection
        if isinstance(started, EngineLost) or connection is None:
            yield started if isinstance(started, EngineLost) else EngineLost(None, "closed")
            return
        mailbox = connection.load(command)
        try:
            while True:
                event = await mailbox.get()
                yield event
                if not isinstance(event, LoadProgress):
                    return
        finally:
            connection.leave_load(mailbox)

    def _on_lost(self, connection: Connection) -> None:
        self._wanted = connection.loaded or self._wanted
        if not self._closed:
            self._crashes.record()


def _failed(request_id: int, error: str, hint: str = "") -> GenerationFinished:
    return GenerationFinished(request_id, FinishReason.ERROR, Usage(), Timings(), error=error, hint=hint)
