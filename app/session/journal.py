"""Writes a growing text away while it grows: often enough to lose little, seldom enough to cost nothing.

Knows neither the store nor the engine: it is given the one thing that it calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

INTERVAL_S = 0.2
"""Rest after a write. With the write itself no text waits longer than the promised 250 ms."""


class Journal:
    """Hands the text so far to `write` soon after it changed, and then not again for INTERVAL_S.

    `add` never waits. At most one write is in flight; what came meanwhile goes with the next one.
    """

    def __init__(
        self,
        write: Callable[[str], Awaitable[None]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        text: str = "",
    ) -> None:
        """`text` is written already."""
        self._write = write
        self._sleep = sleep
        self._parts = [text]
        self._changed = asyncio.Event()
        self._writing: asyncio.Future[None] | None = None
        self._task = asyncio.create_task(self._run())

    @property
    def text(self) -> str:
        """All that was added to the text at first."""
        return "".join(self._parts)

    def add(self, text: str) -> None:
        """Appends; empty text changes nothing."""
        if text:
            self._parts.append(text)
            self._changed.set()

    async def close(self) -> None:
        """Stops writing; returns when no write is in flight. The text stays readable."""
        self._task.cancel()
        await asyncio.wait({self._task})
        if self._writing:
            await asyncio.wait({self._writing})

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            self._writing = asyncio.ensure_future(self._write(self.text))
            await asyncio.shield(self._writing)
            await self._sleep(INTERVAL_S)
