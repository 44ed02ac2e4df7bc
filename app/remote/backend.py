"""`RemoteEngine`: the core of `app.client.engine.Engine` over a server's HTTP API."""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from app.client.engine import EngineState
from app.domain import units
from app.domain.errors import GenerationError, ModelError, TokscopeError
from app.domain.generation import FinishReason, Timings, Usage
from app.domain.parameters import N_SEEDS
from app.domain.remote import RemoteModel
from app.protocol.commands import Generate, LoadModel
from app.protocol.events import (
    EngineLost,
    GenerationEvent,
    GenerationFinished,
    Hello,
    LoadEvent,
    LoadFailed,
    LoadProgress,
    ModelReady,
)
from app.remote.chunks import read_chunk
from app.remote.describe import ServedModel, describe
from app.remote.errors import RemoteError, StreamError
from app.remote.http import ServerConnection
from app.remote.payloads import PayloadReader
from app.remote.refusals import StatusError
from app.remote.reply import RemoteReply
from app.remote.requests import Target, chat_request, refused_fields

_DRAIN_S = 0.1
_REFUSED = (400, 422)
_TOO_LONG = re.compile(r"exceed_context_size|context_length_exceeded|context (length|size|window)", re.IGNORECASE)
_MOST_REFUSALS = 4
"""Requests that are sent again without what the server refused."""


@dataclass
class _Loaded:
    connection: ServerConnection
    target: Target
    ready: ModelReady
    refused: set[str] = field(default_factory=set[str])
    """Fields of requests that the server does not take."""
    reported: set[str] = field(default_factory=set[str])
    """Parameters without effect that a notice has named."""


class RemoteEngine:
    """One model of one server at a time; requests run side by side. Nothing of it outlives `close`."""

    def __init__(
        self,
        connect: Callable[[RemoteModel], ServerConnection] = ServerConnection,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connect = connect
        self._clock = clock
        self._loaded: _Loaded | None = None
        self._state = EngineState.NO_MODEL
        self._running: dict[int, asyncio.Task[None]] = {}
        self._ids = itertools.count(1)

    @property
    def state(self) -> EngineState:
        """READY after a load that succeeded, LOST after `close`."""
        return self._state

    @property
    def hello(self) -> Hello | None:
        """Always None: it has no worker."""
        return None

    @property
    def model(self) -> ModelReady | None:
        """The model that requests go to."""
        return self._loaded.ready if self._loaded else None

    def next_request_id(self) -> int:
        """A request id never used before with this engine."""
        return next(self._ids)

    async def load(self, command: LoadModel) -> AsyncGenerator[LoadEvent]:
        """Asks the server for the model of `command.options.remote`; nothing is loaded here."""
        await self._leave()
        remote = command.options.remote
        assert remote is not None
        self._state = EngineState.LOADING
        yield LoadProgress(0.0)
        try:
            outcome = await self._described(remote, command.options.n_ctx)
        finally:
            self._state = EngineState.READY if self._loaded else EngineState.NO_MODEL
        yield outcome

    async def _described(self, remote: RemoteModel, n_ctx: int | None) -> ModelReady | LoadFailed:
        began = self._clock()
        try:
            # Certificates are read from disk.
            connection = await asyncio.to_thread(self._connect, remote)
        except RemoteError as error:
            return LoadFailed(str(error), error.hint)
        try:
            served = await describe(connection, remote.model)
            ready = _ready(remote, served, n_ctx, (self._clock() - began) * 1000)
            self._loaded = _Loaded(connection, Target(served.server, served.name, n_ctx or 0), ready)
            return ready
        except (RemoteError, ModelError) as error:
            return LoadFailed(str(error), error.hint)
        finally:
            if self._loaded is None:
                await connection.close()

    async def generate(self, command: Generate) -> AsyncGenerator[GenerationEvent]:
        """Runs one request; a broken connection ends it with an error, and the text that came is good."""
        loaded, request_id = self._loaded, command.request_id
        if loaded is None:
            error = EngineLost(None, "closed") if self._state is EngineState.LOST else None
            yield error or _refused(request_id, "no model is loaded", "load a model first")
            return
        seed = random.randrange(N_SEEDS) if command.sampling.seed is None else command.sampling.seed
        reply = RemoteReply(request_id, seed, loaded.ready.n_ctx, self._clock)
        events: asyncio.Queue[GenerationEvent | None] = asyncio.Queue()
        task = asyncio.create_task(_read(loaded, command, reply, events))
        task.add_done_callback(lambda _: events.put_nowait(None))
        self._running[request_id] = task
        try:
            while event := await events.get():
                yield event
            yield _end(task, reply)
        finally:
            del self._running[request_id]
            task.cancel()
            await asyncio.wait({task})

    def abort(self, request_id: int) -> None:
        """Closes the connection of a request, which ends it at the server too."""
        if task := self._running.get(request_id):
            task.cancel()

    async def close(self) -> None:
        """Ends every request and closes the connections. Idempotent."""
        await self._leave()
        self._state = EngineState.LOST

    async def _leave(self) -> None:
        for task in self._running.values():
            task.cancel()
        loaded, self._loaded = self._loaded, None
        if loaded:
            await loaded.connection.close()


async def _read(
    loaded: _Loaded, command: Generate, reply: RemoteReply, events: asyncio.Queue[GenerationEvent | None]
) -> None:
    """Puts the events of one request into `events`, all but the last. Raises TokscopeError."""
    for _ in range(_MOST_REFUSALS):
        request = chat_request(command, loaded.target, reply.seed, loaded.refused)
        try:
            async with loaded.connection.stream(request.path, request.body) as chunks:
                reply.notices = _notices(loaded, request.ignored)
                await _fold(chunks, reply, events)
                return
        except StreamError as error:
            raise StreamError(loaded.connection.without_key(str(error)), error.hint) from None
        except StatusError as error:
            named = refused_fields(request, error.body) if error.status in _REFUSED else set[str]()
            if not named:
                raise
            loaded.refused |= named
    raise GenerationError("the server refuses one parameter after another")


async def _fold(
    chunks: AsyncGenerator[bytes], reply: RemoteReply, events: asyncio.Queue[GenerationEvent | None]
) -> None:
    reader = PayloadReader()
    async for data in chunks:
        for payload in reader.feed(data):
            for event in reply.take(read_chunk(payload)):
                events.put_nowait(event)
        if reader.done:
            await _drain(chunks)
            return
    for payload in reader.close():
        for event in reply.take(read_chunk(payload)):
            events.put_nowait(event)
    if not (reply.complete or reader.done):
        raise StreamError("the server closed the connection before the reply was complete", "Send it again.")


async def _drain(chunks: AsyncGenerator[bytes]) -> None:
    """Reads the end of the body, which follows at once, so that the next request uses the connection again."""
    with suppress(TimeoutError, StreamError):
        async with asyncio.timeout(_DRAIN_S):
            async for _ in chunks:
                pass


def _end(task: asyncio.Task[None], reply: RemoteReply) -> GenerationFinished:
    if task.cancelled():
        return reply.aborted()
    error = task.exception()
    if error is None:
        return reply.end()
    if not isinstance(error, TokscopeError):
        raise error
    too_long = isinstance(error, StatusError) and error.status in _REFUSED and _TOO_LONG.search(error.body)
    return reply.failed(error, FinishReason.CONTEXT if too_long else FinishReason.ERROR)


def _notices(loaded: _Loaded, ignored: tuple[str, ...]) -> tuple[str, ...]:
    """Names the parameters without effect, each once a load."""
    new = sorted({*ignored, *loaded.refused} - loaded.reported)
    loaded.reported |= set(new)
    title = loaded.target.server.title
    return (f"{title} does not take {', '.join(f'`{name}`' for name in new)}: no effect here",) if new else ()


def _refused(request_id: int, error: str, hint: str) -> GenerationFinished:
    return GenerationFinished(request_id, FinishReason.ERROR, Usage(), Timings(), error=error, hint=hint)


def _ready(remote: RemoteModel, served: ServedModel, n_ctx: int | None, ms: float) -> ModelReady:
    size = units.parameters(served.n_params) if served.n_params else ""
    slots = f"{served.n_slots} slots" if served.n_slots else ""
    facts = " · ".join(filter(None, (served.quant, size, slots)))
    where = f"{served.server.title} {served.build}".strip()
    return ModelReady(
        path=remote.source,
        title=served.name,
        n_ctx=n_ctx or served.n_ctx,
        load_ms=ms,
        notices=served.notices,
        server=(f"{where} at {urlsplit(remote.url).netloc}", *([facts] if facts else [])),
    )
