"""The interface between the app and an engine; the worker's client and the tests' scripted engine implement it."""

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
    """State of an engine."""

    STARTING = "starting"
    NO_MODEL = "no model"
    LOADING = "loading"
    READY = "ready"
    LOST = "lost"
    """Its process has ended; the next `load` or `generate` starts a new one."""


class Stall(Struct, frozen=True):
    """An engine that owes an answer and shows no progress."""

    seconds: float
    answers: bool
    """Whether its process still answers and only its computing thread makes no progress."""


class Engine(Protocol):
    """One model at a time; used from one asyncio loop. Requests may overlap."""

    @property
    def state(self) -> EngineState:
        """The state of the engine."""
        ...

    @property
    def hello(self) -> Hello | None:
        """The running worker's Hello; None until it arrives."""
        ...

    @property
    def model(self) -> ModelReady | None:
        """The loaded model, if any."""
        ...

    @property
    def stall(self) -> Stall | None:
        """Set while the engine owes an answer and shows no progress; it may still recover."""
        ...

    @property
    def crash_looping(self) -> bool:
        """Whether it crashed so often lately that only the user should start it again."""
        ...

    def restart(self) -> None:
        """Ends the worker now, at the user's request; the next `load` or `generate` starts another."""
        ...

    def load(self, command: LoadModel) -> AsyncGenerator[LoadEvent]:
        """Loads a model, starting the worker if needed; the last event is ModelReady, LoadFailed or EngineLost.

        Closing the generator early cancels the load.
        """
        ...

    def generate(self, command: Generate) -> AsyncGenerator[GenerationEvent]:
        """Runs one request; the last event is GenerationFinished or EngineLost.

        After EngineLost the next call starts a worker and loads the last model again before it sends the request.
        Adjacent TokensGenerated events merge when the reader lags. Closing the generator early aborts the request.
        """
        ...

    def bench(self, command: Bench) -> AsyncGenerator[BenchEvent]:
        """Runs one measurement of the model alone; the last event is BenchFinished or EngineLost."""
        ...

    def pause(self, request_id: int) -> None:
        """Asks a request to hold before its next token and returns at once; `Paused` follows in its stream."""
        ...

    def resume(self, command: Resume) -> None:
        """Continues a paused request and returns at once."""
        ...

    async def tokenize(self, command: Tokenize) -> Tokenized | EngineLost:
        """Returns the tokens of a text or of rendered messages."""
        ...

    async def predict(self, command: Predict) -> Predicted | EngineLost:
        """Returns the distribution over the next token."""
        ...

    def score(self, command: Score) -> AsyncGenerator[ScoreEvent]:
        """Scores a text; the last event is ScoreFinished or EngineLost. Closing the generator early ends it."""
        ...

    def abort(self, request_id: int) -> None:
        """Aborts a request and returns at once; the generator still ends with GenerationFinished."""
        ...

    def forget(self, conversations: Collection[int]) -> None:
        """Deletes the saved states of conversations, now or once a worker runs; returns at once."""
        ...

    def next_request_id(self) -> int:
        """Returns a new request id, unique for this engine."""
        ...

    async def close(self) -> None:
        """Ends the worker, by force after a grace period. Idempotent."""
        ...
