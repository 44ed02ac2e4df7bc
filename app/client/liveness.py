"""Detects stalled workers and repeated crashes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from app.client.engine import Stall

MAX_CRASHES = 3
WINDOW_S = 300.0


class CrashLog:
    """Remembers recent crashes. Three in five minutes are too many, as for VS Code's extension host."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: deque[float] = deque(maxlen=MAX_CRASHES)

    def record(self) -> None:
        """Records a crash now."""
        self._times.append(self._clock())

    def clear(self) -> None:
        """Forgets all crashes, when the user asks for another try."""
        self._times.clear()

    @property
    def too_many(self) -> bool:
        """Whether MAX_CRASHES happened within the last WINDOW_S seconds."""
        return len(self._times) == MAX_CRASHES and self._clock() - self._times[0] < WINDOW_S


TICK_S = 0.5
_ASK_S = 1.0
"""Silence after which to send a Ping."""


class Liveness:
    """Measures the silence of one worker."""

    def __init__(self, start_s: float, silent_s: float, still_s: float) -> None:
        """The arguments are the silences after which a worker counts as stalled.

        Args:
            start_s: before its first event, while it loads its libraries and cannot answer.
            silent_s: of the whole process.
            still_s: of the computing thread, in a process that answers.
        """
        self._start_s = start_s
        self._started = False
        self._silent_s = silent_s
        self._still_limit_s = still_s
        self._quiet_s = 0.0
        self._still_s = 0.0
        self._asked = False

    @property
    def stall(self) -> Stall | None:
        """The current stall, if any."""
        if self._quiet_s >= (self._silent_s if self._started else self._start_s):
            return Stall(self._quiet_s, answers=False)
        if self._still_s >= self._still_limit_s:
            return Stall(self._still_s + self._quiet_s, answers=True)
        return None

    def heard(self) -> None:
        """The worker sent something."""
        self._started = True
        self._quiet_s = self._still_s = 0.0

    def answered(self, still_s: float) -> None:
        """The worker answered, with the time for which its computing thread has made no progress."""
        self._still_s = still_s
        self._asked = False

    def rest(self) -> None:
        """The worker owes no answer now."""
        self._quiet_s = self._still_s = 0.0

    def tick(self, elapsed_s: float) -> bool:
        """Counts the time since the last tick; returns True if a Ping is due."""
        self._quiet_s += min(elapsed_s, TICK_S)
        # One Ping is enough: more would only fill the pipe of a silent worker.
        if not self._started or self._asked or (self._quiet_s < _ASK_S and not self._still_s):
            return False
        self._asked = True
        return True
