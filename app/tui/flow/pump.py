"""Brings a reply's text to the screen: chunks gather in a list, and one task flushes them at the pace of `pace`.

Lives only while a turn runs, so that nothing ticks in an idle chat. The panels are refreshed every few flushes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter, thread_time

from app.analysis.token_rate import ScreenClock
from app.tui.flow.pace import PANELS_HZ, next_delay_s


class Pump:
    """One per chat; `start` and `stop` bracket a turn."""

    def __init__(
        self, append: Callable[[str], None], tick: Callable[[], None], clock: ScreenClock | None = None
    ) -> None:
        """`append` shows text, `tick` refreshes the panels, `clock` is told what that takes."""
        self._append = append
        self._tick = tick
        self._clock = clock or ScreenClock()
        self._pending: list[str] = []
        self._task: asyncio.Task[None] | None = None
        self._panels_due = 0.0
        self.shortest_s = 1 / 30
        """The shortest time between two flushes."""

    def push(self, text: str) -> None:
        """Queues text for the next flush."""
        if text:
            self._pending.append(text)
            self._clock.arrived(perf_counter())

    def flush(self) -> None:
        """Shows what is queued now, and the panels when they are due."""
        if self._pending:
            text = "".join(self._pending)
            self._pending.clear()
            self._append(text)
            self._clock.flushed(perf_counter())
        if (now := perf_counter()) >= self._panels_due:
            self._panels_due = now + 1 / PANELS_HZ
            self._tick()
            self._clock.ticked(now, thread_time(), perf_counter() - now)

    def start(self) -> None:
        """Begins to flush; the panels are due at once."""
        self._panels_due = 0.0
        self._clock.start(perf_counter(), thread_time())
        self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        """Ends the task and shows what is left, panels included."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._panels_due = 0.0
        self.flush()

    async def _run(self) -> None:
        delay_s = self.shortest_s
        while True:
            await asyncio.sleep(delay_s)
            began = thread_time()
            self.flush()
            delay_s = next_delay_s(self.shortest_s, thread_time() - began)
