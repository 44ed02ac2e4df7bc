"""The interface between the app and an engine: a core that every backend serves, and capabilities of some."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from enum import Enum
from typing import Protocol, TypeVar, runtime_checkable

from msgspec import Struct

from app.domain.errors import UsageError
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
    """Whether its process still answers and only its computing thread makes no progress."""


Capability = TypeVar("Capability")


class Engine(Protocol):
    """What every backend can do. One model at a time; used from one asyncio loop. Requests may overlap.

    What only some can do is a protocol of its own below: ask with `isinstance`, or `require` it.
    """

    @property
    def state(self) -> EngineState:
        """Where the engine stands."""
        ...

    @property
    def hello(self) -> Hello | None:
        """The running worker's Hello; None until it arrives, and for a backend without a worker."""
        ...

    @property
    def model(self) -> ModelReady | None:
        """The loaded model, if any."""
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

    def abort(self, request_id: int) -> None:
        """Aborts a request and returns at once; the generator still ends with GenerationFinished."""
        ...

    def next_request_id(self) -> int:
        """Returns a new request id, unique for this engine."""
        ...

    async def close(self) -> None:
        """Ends the worker, by force after a grace period. Idempotent."""
        ...


@runtime_checkable
class Steerable(Protocol):
    """Decodes token by token under the user's control.

    Only such an engine honours `n_steps`, `reply_ids`, `reply_text`, `shares_prefix`, `trace_stages` and `speculate` of
    a `Generate`.
    """

    def pause(self, request_id: int) -> None:
        """Asks a request to hold before its next token and returns at once; `Paused` follows in its stream."""
        ...

    def resume(self, command: Resume) -> None:
        """Continues a paused request and returns at once."""
        ...


@runtime_checkable
class Queryable(Protocol):
    """Answers questions about a text without generating."""

    async def tokenize(self, command: Tokenize) -> Tokenized | EngineLost:
        """Returns the tokens of a text or of rendered messages."""
        ...

    async def predict(self, command: Predict) -> Predicted | EngineLost:
        """The distribution over the next token."""
        ...

    def score(self, command: Score) -> AsyncGenerator[ScoreEvent]:
        """Scores a text; the last event is ScoreFinished or EngineLost. Closing the generator early ends it."""
        ...


@runtime_checkable
class Benchable(Protocol):
    """Measures the model alone."""

    def bench(self, command: Bench) -> AsyncGenerator[BenchEvent]:
        """Runs one measurement; the last event is BenchFinished or EngineLost."""
        ...


@runtime_checkable
class Forgetful(Protocol):
    """Saves the states of conversations, and can delete them."""

    def forget(self, conversations: Collection[int]) -> None:
        """Deletes the saved states of conversations, now or once a worker runs; returns at once."""
        ...


@runtime_checkable
class Restartable(Protocol):
    """Runs in a process of its own, which may hang or crash and can be started again."""

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


@runtime_checkable
class Routing(Protocol):
    """Passes requests on to one of several engines, as the loaded model needs."""

    @property
    def serving(self) -> Engine:
        """The engine that has the model now."""
        ...


def capable(engine: Engine, capability: type[Capability]) -> Capability | None:
    """Returns the engine as one that has a capability; None if it has not, or not with the loaded model."""
    serving = engine.serving if isinstance(engine, Routing) else engine
    return serving if isinstance(serving, capability) else None


def require(engine: Engine, capability: type[Capability], purpose: str) -> Capability:
    """Returns the engine as one that has a capability. Raises UsageError if it has not: "cannot `purpose`"."""
    found = capable(engine, capability)
    if found is None:
        raise UsageError(f"this engine cannot {purpose}", "Use a local model.")
    return found


def stall_of(engine: Engine) -> Stall | None:
    """Returns the stall of an engine; None if it shows progress or cannot hang."""
    restartable = capable(engine, Restartable)
    return restartable.stall if restartable else None


def is_crash_looping(engine: Engine) -> bool:
    """Returns whether an engine crashed so often lately that only the user should start it again."""
    restartable = capable(engine, Restartable)
    return restartable is not None and restartable.crash_looping


def forget(engine: Engine, conversations: Collection[int]) -> None:
    """Deletes what an engine has saved of conversations, if it saves anything."""
    if isinstance(engine, Forgetful):
        engine.forget(conversations)
