"""`WorkerClient`: an Engine over a worker process that may die at any time.

Decides when to start or restart a worker; `Connection` handles one worker.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from app.client.connection import Connection, Graces
from app.client.engine import EngineState, Stall
from app.client.liveness import CrashLog
from app.client.mailbox import Request, RequestEnd
from app.client.process import WorkerProcess, spawn
from app.domain.generation import FinishReason, Timings, Usage
from app.protocol.codec import FrameError
from app.protocol.commands import Bench, Generate, LoadModel, Pause, Predict, Resume, Score, Tokenize
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
    Predicted,
    ScoreEvent,
    ScoreFinished,
    Tokenized,
)


class WorkerClient:
    """Implements `app.client.engine.Engine` with worker processes."""

    def __init__(
        self,
        log_path: Path,
        *,
        process: WorkerProcess | None = None,
        argv: Sequence[str] | None = None,
        graces: Graces | None = None,
        crashes: CrashLog | None = None,
    ) -> None:
        """`process` is a worker that was started early and is used first; `argv` replaces the real worker."""
        self._log_path = log_path
        self._process = process
        self._argv = argv
        self._graces = graces or Graces()
        self._crashes = crashes or CrashLog()
        self._connection: Connection | None = None
        self._wanted: LoadModel | None = None
        self._unstartable = False
        self._notice: str | None = None
        """The notice of the worker's start; None before a start, empty after it was reported."""
        self._closed = False
        self._starting = asyncio.Lock()
        self._loading = asyncio.Lock()
        self._reviving: asyncio.Task[EngineLost | LoadFailed | None] | None = None
        self._waiting: dict[int, asyncio.Event] = {}
        self._paused_early: set[int] = set()
        self._to_forget: set[int] = set()
        """Conversations whose saved states are still to be deleted."""
        self._ids = itertools.count(1)
        # A worker inherits the priority of the thread that starts it, and the app may lower its own later.
        self._spawner = ThreadPoolExecutor(1, "spawn")
        self._spawner.submit(int)

    @property
    def state(self) -> EngineState:
        """The state of the engine."""
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
        """The worker's Hello; None until it arrives."""
        return self._connection.hello if self._connection else None

    @property
    def model(self) -> ModelReady | None:
        """The loaded model, if any."""
        return self._connection.model if self._connection else None

    @property
    def stall(self) -> Stall | None:
        """Set while the worker owes an answer and shows no progress."""
        return self._connection.stall if self._connection else None

    @property
    def crash_looping(self) -> bool:
        """Whether it crashed so often lately that only the user should start it again."""
        return self._crashes.too_many

    def restart(self) -> None:
        """Kills the worker; the next `load` or `generate` starts another."""
        if self._connection and not self._connection.lost:
            self._connection.kill("was restarted", wished=True)

    def next_request_id(self) -> int:
        """Returns a new request id, unique over all workers of this client."""
        return next(self._ids)

    async def start(self) -> Hello | EngineLost:
        """Ensures that a worker runs and has sent Hello; replaces a dead one."""
        async with self._starting:
            if self._closed:
                return EngineLost(None, "closed")
            if self._connection and self._connection.condemned:
                await self._connection.gone()
            if self._connection is None or self._connection.lost:
                try:
                    process, self._process = self._process or await self._spawn(), None
                except OSError as error:
                    self._unstartable = True
                    return EngineLost(None, f"could not be started: {error}")
                self._unstartable = False
                self._notice = process.notice if self._notice is None else self._notice
                if self._closed:
                    process.discard()
                    return EngineLost(None, "closed")
                self._connection = Connection(process, self._graces, self._on_lost)
            greeting = await self._connection.greeted()
            if isinstance(greeting, Hello):
                self._forget()
            return greeting

    async def _spawn(self) -> WorkerProcess:
        return await asyncio.get_running_loop().run_in_executor(self._spawner, spawn, self._log_path, self._argv)

    async def load(self, command: LoadModel) -> AsyncGenerator[LoadEvent]:
        """Loads a model; earlier crashes no longer count."""
        if self._reviving:
            self._reviving.cancel()  # a new load replaces the pending reload
        async with self._loading:
            self._crashes.clear()
            self._wanted = None
            async with aclosing(self._load(command)) as events:
                async for event in events:
                    yield event

    def generate(self, command: Generate) -> AsyncGenerator[GenerationEvent]:
        """Runs one request; waits for a load in progress, and reloads the last model after a crash."""
        return self._exchange(command, lambda refusal: refusal)

    def bench(self, command: Bench) -> AsyncGenerator[BenchEvent]:
        """Runs one measurement; waits as `generate` does."""
        return self._exchange(command, lambda refusal: BenchFinished(command.request_id, _why(refusal)))

    async def tokenize(self, command: Tokenize) -> Tokenized | EngineLost:
        """Returns the tokens of a text or of rendered messages; waits for a model as `generate` does."""
        async with aclosing(
            self._exchange(command, lambda refusal: Tokenized(command.request_id, error=_why(refusal)))
        ) as events:
            return await anext(events)

    async def predict(self, command: Predict) -> Predicted | EngineLost:
        """Returns the distribution over the next token; cancelling the call aborts the request."""
        async with aclosing(
            self._exchange(command, lambda refusal: Predicted(command.request_id, error=_why(refusal)))
        ) as events:
            return await anext(events)

    def score(self, command: Score) -> AsyncGenerator[ScoreEvent]:
        """Scores a text; waits as `generate` does."""
        return self._exchange(command, lambda refusal: ScoreFinished(command.request_id, error=_why(refusal)))

    async def _exchange(
        self, command: Request, refused: Callable[[GenerationFinished], RequestEnd]
    ) -> AsyncGenerator[Any]:
        """Runs a request to its last event; `refused` makes the last event of a request that was not sent."""
        request_id = command.request_id
        try:
            refusal = await self._readied(request_id)
            connection = self._connection
            if refusal or connection is None:
                yield (
                    refused(refusal)
                    if isinstance(refusal, GenerationFinished)
                    else refusal or EngineLost(None, "closed")
                )
                return
            try:
                if request_id in self._paused_early and isinstance(command, Generate):
                    command = replace(command, n_steps=0)  # a separate Pause might arrive after the last token
                mailbox = connection.request(command)
            except FrameError as error:
                yield refused(_failed(request_id, f"the text is too long to be sent: {error}"))
                return
        finally:
            self._paused_early.discard(request_id)
        try:
            while True:
                event = await mailbox.get()
                yield event
                if isinstance(event, RequestEnd | EngineLost):
                    return
        finally:
            connection.leave_request(request_id)
            mailbox.close()

    def pause(self, request_id: int) -> None:
        """Asks a request to hold before its next token, or before its first if it still waits for a model."""
        if request_id in self._waiting:
            self._paused_early.add(request_id)
        elif self._connection:
            self._connection.steer(Pause(request_id))

    def resume(self, command: Resume) -> None:
        """Continues a paused request. Raises FrameError if the forced text is too long to send."""
        self._paused_early.discard(command.request_id)
        if self._connection:
            self._connection.steer(command)

    def forget(self, conversations: Collection[int]) -> None:
        """Deletes saved states, now or once the next worker runs."""
        self._to_forget |= set(conversations)
        if self.state not in (EngineState.STARTING, EngineState.LOST):
            self._forget()

    def _forget(self) -> None:
        if self._to_forget and self._connection:
            self._connection.forget(tuple(sorted(self._to_forget)))
            self._to_forget.clear()

    def abort(self, request_id: int) -> None:
        """Aborts a request and returns at once."""
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
        """Waits for a model. Returns None when it is ready, else the event that ends the request."""
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
        waited = connection.loading
        mailbox = connection.load(command)
        try:
            while True:
                event = await mailbox.get()
                if isinstance(event, EngineLost) and event.wished and waited:
                    break  # the previous load could not be cancelled
                if isinstance(event, ModelReady) and self._notice:
                    event, self._notice = replace(event, notices=(self._notice, *event.notices)), ""
                yield event
                if not isinstance(event, LoadProgress):
                    return
        finally:
            connection.leave_load(mailbox)
            mailbox.close()
        async with aclosing(self._load(command)) as events:
            async for event in events:
                yield event

    def _on_lost(self, connection: Connection) -> None:
        self._wanted = connection.loaded or self._wanted
        if not self._closed and not (connection.lost and connection.lost.wished):
            self._crashes.record()


def _failed(request_id: int, error: str, hint: str = "") -> GenerationFinished:
    return GenerationFinished(request_id, FinishReason.ERROR, Usage(), Timings(), error=error, hint=hint)


def _why(refusal: GenerationFinished) -> str:
    return refusal.error or "it was aborted"
