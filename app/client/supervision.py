"""How often an engine may die before only a person should start it again. Knows the time and nothing of processes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

MAX_CRASHES = 3
WINDOW_S = 300.0


class CrashLog:
    """Remembers the last crashes; VS Code's rule for its extension host: three in five minutes are too many."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: deque[float] = deque(maxlen=MAX_CRASHES)

    def record(self) -> None:
        """One more crash, now."""
        self._times.append(self._clock())

    def clear(self) -> None:
        """Forgets all of them: the user asked for another try."""
        self._times.clear()

    @property
    def too_many(self) -> bool:
        """Whether MAX_CRASHES happened within the last WINDOW_S seconds."""
        return len(self._times) == MAX_CRASHES and self._clock() - self._times[0] < WINDOW_S
