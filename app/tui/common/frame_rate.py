"""How much of the machine the screen may take: frame rate, priority, garbage collector.

Where inference runs on the CPU, its threads meet at a barrier some hundred times a token, and every burst of the screen
stalls them all: there the screen draws less often and yields to them. With a GPU none of this binds.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter, thread_time

from app.analysis.token_rate import ScreenClock
from app.protocol.events import ModelReady

FPS = 30.0
FPS_SHARED = 14.0
PANELS_HZ = 5.0
_NICENESS = 5
_LOAD_FACTOR = 3.0
"""A flush may take a third of the time until the next one."""


def flush_interval_s(model: ModelReady | None, configured_fps: int | None) -> float:
    """Returns the shortest time between two flushes of new text."""
    if configured_fps is not None:
        return 1 / max(1, configured_fps)
    shared = model is not None and model.on_cpu
    return 1 / (FPS_SHARED if shared else FPS)


def next_delay_s(shortest_s: float, spent_s: float) -> float:
    """Returns how long to wait after a flush that took `spent_s` of CPU: slow flushes make themselves rarer."""
    return max(shortest_s, _LOAD_FACTOR * spent_s)


class Pump:
    """One per chat; `start` and `stop` bracket a turn."""

    def __init__(
        self, append: Callable[[str], None], tick: Callable[[], None], clock: ScreenClock | None = None
    ) -> None:
        """`append` shows text, `tick` refreshes the panels, `clock` records what both take."""
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


def yield_to_engine() -> None:
    """Lowers this process's priority once and for all; needs no privilege."""
    with suppress(OSError, AttributeError):
        if os.getpriority(os.PRIO_PROCESS, 0) < _NICENESS:
            os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)


def warm_up() -> None:
    """Imports what the first reply needs and the first paint does not."""
    from app.tui.markdown.code import prepare
    from app.tui.markdown.dialect import parser

    parser()
    prepare()


def freeze_garbage() -> None:
    """Takes everything made so far out of the collector's sight: its pauses were the longest frames."""
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
