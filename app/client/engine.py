"""The seam: all that the app may know of an engine. The worker's client and the tests' scripted engine both fit it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from enum import Enum
from typing import Protocol

from msgspec import Struct

from app.protocol.commands import Bench, Generate, LoadModel, Predict, Resume, Score, Tokenize
from app.protocol.events import (
    BenchEvent,
    EngineLost,
    GenerationEvent,
    Hello,
    LoadEvent,
    ModelReady,
    Predicted,
    ScoreEvent,
    Tokenized,
)


class EngineState(Enum):
    """Where an engine stands."""

    STARTING = "starting"
    NO_MODEL = "no model"
    LOADING = "loading"
    READY = "ready"
    LOST = "lost"
    """Its process is gone; the next `load` or `generate` starts a new one."""


class Stall(Struct, frozen=True):
    """An engine that owes an answer and shows no progress."""

    seconds: float
    answers: bool
    """Whether its process still answers, and only what computes in it makes no progress."""


class Engine(Protocol):
    """One model at a time; used from one asyncio loop. Requests may overlap."""

    @property
    def state(self) -> EngineState:
        """Where the engine stands."""
        ...

    @property
    def hello(self) -> Hello | None:
        """What the running worker said of itself; None until it has."""
        ...

    @property
    def model(self) -> ModelReady | None:
        """The model that is loaded; None when there is none."""
        ...

    @property
    def stall(self) -> Stall | None:
        """Set while the engine owes an answer and shows no progress; it may still recover."""
        ...

    @property
    def crash_looping(self) -> bool:
        """Whether it has died so often lately that only a person should start it again."""
        ...

    def restart(self) -> None:
        """Ends the worker now, because a person asked for it; the next `load` or `generate` starts another."""
        ...

    def load(self, command: LoadModel) -> AsyncGenerator[LoadEvent]:
        """Loads a model, starting the worker if needed; the last event is ModelReady, LoadFailed or EngineLost.

        Closing the generator early cancels the load.
        """
        ...

    def generate(self, command: Generate) -> AsyncGenerator[GenerationEvent]:
        """Runs one request; the last event is GenerationFinished or EngineLost.

        After EngineLost the next call starts a worker and loads the last model again before it sends the request.
        Adjacent TokensGenerated are merged when the reader lags. Closing the generator early aborts the request.
        """
        ...

    def bench(self, command: Bench) -> AsyncGenerator[BenchEvent]:
        """Runs one measurement of the model alone; the last event is BenchFinished or EngineLost."""
        ...

    def pause(self, request_id: int) -> None:
        """Asks a request to hold before its next token and returns at once; `Paused` follows in its stream."""
        ...

    def resume(self, command: Resume) -> None:
        """Lets a paused request go on and returns at once."""
        ...

    async def tokenize(self, command: Tokenize) -> Tokenized | EngineLost:
        """The tokens of a text or of rendered messages."""
        ...

    async def predict(self, command: Predict) -> Predicted | EngineLost:
        """The distribution over the next token."""
        ...

    def score(self, command: Score) -> AsyncGenerator[ScoreEvent]:
        """Scores a text; the last event is ScoreFinished or EngineLost. Closing the generator early ends it."""
        ...

    def abort(self, request_id: int) -> None:
        """Asks for the end of a request and returns at once; the generator still ends with GenerationFinished."""
        ...

    def forget(self, conversations: Collection[int]) -> None:
        """Has the saved states of deleted conversations deleted, now or when a worker runs; returns at once."""
        ...

    def next_request_id(self) -> int:
        """A request id never used before with this engine."""
        ...

    async def close(self) -> None:
        """Ends the worker, by force after a grace period. Idempotent."""
        ...
