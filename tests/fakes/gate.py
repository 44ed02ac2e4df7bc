"""`Gate`: a test decides how many steps of a scripted engine may go ahead; nothing sleeps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Gate:
    """Counts steps that may go ahead; every wait is on a condition."""

    free: bool
    n_permits: int = 0
    n_open: int = 0
    """Streams that have begun and not ended."""
    _waits: list[Callable[[], bool]] = field(default_factory=list)
    """What each stream that waits is waiting for."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def change(self) -> None:
        """Wakes everybody who waits on a condition of this gate."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns when `condition` holds; looked at after every change."""
        while not condition():
            await self._changed.wait()

    async def step(self, given_up: Callable[[], bool]) -> None:
        """Waits for a permit, or for `given_up`."""
        await asyncio.sleep(0)
        await self.hold(lambda: self.free or self.n_permits > 0 or given_up())
        if not self.free and self.n_permits and not given_up():
            self.n_permits -= 1
        self.change()

    async def hold(self, condition: Callable[[], bool]) -> None:
        """Lets a stream wait for what a permit does not give."""
        self._waits.append(condition)
        self.change()
        try:
            await self.until(condition)
        finally:
            self._waits.remove(condition)

    def permit(self, n: int) -> None:
        """Lets `n` further steps through."""
        self.n_permits += n
        self.change()

    async def release(self, n: int) -> None:
        """Lets `n` steps through, shared out among the streams, and returns when their readers have handled them.

        Streams that have begun are waited for, and one at the least.
        """
        await self.until(lambda: 0 < self.n_open == len(self._waits))
        self.permit(n)
        await self.settled()

    async def settled(self) -> None:
        """Returns when every stream has ended or waits for what has not come."""
        await self.until(lambda: len(self._waits) == self.n_open and not any(met() for met in self._waits))
