"""The clock of a replay: recorded milliseconds against real time, at a speed, and held when somebody holds it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

SLOWEST, FASTEST = 1 / 64, 64.0


class ReplayClock:
    """Starts at 0 when `start` is called. A speed of 0 is none at all: every time has come already."""

    def __init__(self, speed: float, now: Callable[[], float] = monotonic) -> None:
        self.speed = speed
        self.held = False
        self._now = now
        self._at_ms = 0.0
        self._since = now()
        self._changed = asyncio.Event()

    def start(self) -> None:
        """Goes back to 0 and runs."""
        self._at_ms, self._since, self.held = 0.0, self._now(), False
        self._wake()

    def hold(self, *, held: bool) -> None:
        """Stops the time, or lets it go on."""
        self._settle()
        self.held = held
        self._wake()

    def change_speed(self, factor: float) -> None:
        """Makes it faster or slower, within limits; no effect on a replay without a speed."""
        self._settle()
        self.speed = self.speed and min(FASTEST, max(SLOWEST, self.speed * factor))
        self._wake()

    @property
    def at_ms(self) -> float:
        """The recorded time that it is now."""
        return self._at_ms if self.held else self._at_ms + (self._now() - self._since) * 1000 * self.speed

    async def until(self, at_ms: float, given_up: Callable[[], bool]) -> None:
        """Waits for a recorded time, or until `given_up` holds, which is looked at after every `wake`."""
        while not given_up() and (self.held or (self.speed and self.at_ms < at_ms)):
            left_s = None if self.held else (at_ms - self.at_ms) / 1000 / self.speed
            changed = self._changed
            try:
                async with asyncio.timeout(left_s):
                    await changed.wait()
            except TimeoutError:
                pass
        await asyncio.sleep(0)  # without a speed nothing else would let the screen draw

    def wake(self) -> None:
        """Lets whoever waits look again."""
        self._wake()

    def _settle(self) -> None:
        self._at_ms, self._since = self.at_ms, self._now()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
