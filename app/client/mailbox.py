"""The queue between the pipe and one reader. A reader that lags gets adjacent token deltas as one event."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

from app.protocol.events import TokensGenerated

E = TypeVar("E")


class Mailbox(Generic[E]):
    """Unbounded, one reader, one loop: the engine never waits for the screen."""

    def __init__(self) -> None:
        self._events: deque[E] = deque()
        self._filled = asyncio.Event()

    def put(self, event: E) -> None:
        """Adds an event; never waits."""
        self._events.append(event)
        self._filled.set()

    async def get(self) -> E:
        """Returns the next event, with all TokensGenerated that follow it directly merged into it."""
        await self._filled.wait()
        event = self._events.popleft()
        if isinstance(event, TokensGenerated):
            event = self._merged(event)
        if not self._events:
            self._filled.clear()
        return event

    def _merged(self, first: TokensGenerated) -> TokensGenerated:
        text, tokens = [first.text], [*first.tokens]
        while self._events and isinstance(delta := self._events[0], TokensGenerated):
            text.append(delta.text)
            tokens += delta.tokens
            self._events.popleft()
        return TokensGenerated(first.request_id, "".join(text), tuple(tokens)) if len(text) > 1 else first
