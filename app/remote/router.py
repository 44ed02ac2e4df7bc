"""`RoutingEngine`: one engine for all models, the worker of this machine for files and a server for the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import aclosing

from app.client.engine import Engine, EngineState, Restartable, forget
from app.protocol.commands import Generate, LoadModel
from app.protocol.events import GenerationEvent, Hello, LoadEvent, ModelReady


def _make_remote() -> Engine:
    # Imported here: the HTTP client takes a fifth of a second, and most models are files.
    from app.remote.backend import RemoteEngine

    return RemoteEngine()


class RoutingEngine:
    """See `app.client.engine.Engine`. Each load says which engine serves from then on: `serving`."""

    def __init__(self, local: Engine, make_remote: Callable[[], Engine] = _make_remote) -> None:
        self._local = local
        self._make_remote = make_remote
        self._remote: Engine | None = None
        self.serving: Engine = local
        """The engine that has the model; what it is capable of, this one is."""

    @property
    def state(self) -> EngineState:
        """That of the engine that serves."""
        return self.serving.state

    @property
    def hello(self) -> Hello | None:
        """What the worker said of itself while it serves."""
        return self.serving.hello

    @property
    def model(self) -> ModelReady | None:
        """The model that is loaded."""
        return self.serving.model

    def next_request_id(self) -> int:
        """A request id never used before, whichever engine answers it."""
        return self._local.next_request_id()

    async def load(self, command: LoadModel) -> AsyncGenerator[LoadEvent]:
        """Loads a model where it runs. A worker whose place a server takes ends, and gives its memory back."""
        if command.options.remote is None:
            self.serving = self._local
        else:
            self._remote = self._remote or await asyncio.to_thread(self._make_remote)
            if self._local.model and isinstance(self._local, Restartable):
                self._local.restart()
            self.serving = self._remote
        async with aclosing(self.serving.load(command)) as events:
            async for event in events:
                yield event

    def generate(self, command: Generate) -> AsyncGenerator[GenerationEvent]:
        """Runs one request on the engine that serves now."""
        return self.serving.generate(command)

    def abort(self, request_id: int) -> None:
        """Asks for the end of a request, also of one that began before another model was loaded."""
        for engine in filter(None, (self._local, self._remote)):
            engine.abort(request_id)

    def forget(self, conversations: Collection[int]) -> None:
        """Deletes the saved states of conversations; a server's are its own."""
        forget(self._local, conversations)

    async def close(self) -> None:
        """Ends the worker and the connections. Idempotent."""
        for engine in filter(None, (self._local, self._remote)):
            await engine.close()
