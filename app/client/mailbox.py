"""The bounded queue between the pipe and one reader; adjacent token events merge when the reader lags."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from app.protocol.commands import Bench, Generate, Predict, Score, Tokenize
from app.protocol.events import (
    BenchFinished,
    Event,
    GenerationFinished,
    Predicted,
    ScoreFinished,
    Tokenized,
    TokensGenerated,
)

Request = Generate | Bench | Tokenize | Predict | Score
"""A command that is answered by a stream of events with its request_id."""

RequestEnd = GenerationFinished | BenchFinished | Tokenized | Predicted | ScoreFinished
"""The last event of a request, unless the worker dies first."""

SPARE = 10_000
"""Extra events allowed for a request, for a load, and for all ended requests."""


def most_for(command: Request, n_ctx: int) -> float:
    """The most units (see `weight`) that a worker may send for a request.

    A reply has at most `n_ctx` tokens unless its window is shifted; a text has at most one token per byte.
    """
    match command:
        case Generate():
            return float("inf") if command.context_policy == "shift" else 3 * n_ctx + SPARE
        case Score():
            return 2 * len(command.text.encode(errors="replace")) + SPARE
        case Bench():
            return command.n_reps + SPARE
        case _:
            return SPARE


E = TypeVar("E", bound=Event)

MAX_UNREAD = 20_000
"""Units (see `weight`) that may be unread: some 40 MiB at about 2 KiB per token."""
_IN_A_ROW = 16
"""Events that a reader gets before other tasks of the loop run, so that a flood does not block the keys."""
_TEXT_UNIT = 256


def weight(event: Event) -> int:
    """The units of an event: one, plus one per token and one per 256 characters of text."""
    if isinstance(event, TokensGenerated):
        return 1 + len(event.tokens) + len(event.text) // _TEXT_UNIT
    return 1


class Backlog:
    """Counts the unread units in all mailboxes of one worker."""

    def __init__(self, drained: Callable[[], None]) -> None:
        """`drained` is called when the backlog is no longer full."""
        self._drained = drained
        self._n = 0

    @property
    def full(self) -> bool:
        """Whether reading from the pipe should stop."""
        return self._n >= MAX_UNREAD

    def add(self, n: int) -> None:
        """Adds `n` units; negative when an event was read."""
        was_full = self.full
        self._n += n
        if was_full and not self.full:
            self._drained()


class Mailbox(Generic[E]):
    """A queue for one reader in one event loop; `put` never waits."""

    def __init__(self, backlog: Backlog | None = None) -> None:
        """`backlog` counts the unread units of all mailboxes of the worker."""
        self._backlog = backlog or Backlog(lambda: None)
        self._events: deque[E] = deque()
        self._filled = asyncio.Event()
        self._n_in_a_row = 0

    def put(self, event: E) -> None:
        """Adds an event."""
        self._events.append(event)
        self._backlog.add(weight(event))
        self._filled.set()

    async def get(self) -> E:
        """Returns the next event, merged with the TokensGenerated events directly after it."""
        self._n_in_a_row = self._n_in_a_row + 1 if self._filled.is_set() else 0
        if self._n_in_a_row >= _IN_A_ROW:
            self._n_in_a_row = 0
            await asyncio.sleep(0)
        await self._filled.wait()
        event = self._take()
        if isinstance(event, TokensGenerated):
            event = self._merged(event)
        if not self._events:
            self._filled.clear()
        return event

    def close(self) -> None:
        """Drops all unread events."""
        while self._events:
            self._take()

    def _take(self) -> E:
        event = self._events.popleft()
        self._backlog.add(-weight(event))
        return event

    def _merged(self, first: TokensGenerated) -> TokensGenerated:
        text, tokens = [first.text], [*first.tokens]
        while self._events and isinstance(delta := self._events[0], TokensGenerated):
            text.append(delta.text)
            tokens += delta.tokens
            self._take()
        return TokensGenerated(first.request_id, "".join(text), tuple(tokens)) if len(text) > 1 else first
