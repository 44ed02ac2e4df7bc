"""How fast tokens come: rates, percentiles and a short history of the time between them.

Fed with the engine's times, one a token; reads no clock. O(log n) a token, bounded memory.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from math import ceil

NOW_MS = 1000.0
"""Engine time that "now" covers."""
SAMPLE_MS = 250.0
"""Engine time of one point of the history."""
N_SAMPLES = 80
N_RECENT = 256
"""Tokens that the percentiles look back on."""


class Pace:
    """The times between the tokens of one reply."""

    def __init__(self) -> None:
        self.n = 0
        self.total_ms = 0.0
        self.history: deque[float] = deque(maxlen=N_SAMPLES)
        """Tokens per second of each SAMPLE_MS, oldest first."""
        self._now: deque[float] = deque()
        self._now_ms = 0.0
        self._recent: deque[float] = deque()
        self._sorted: list[float] = []
        self._n_sample, self._sample_ms = 0, 0.0

    def add(self, ms: float) -> None:
        """Counts a token that came `ms` after the one before it."""
        self.n += 1
        self.total_ms += ms
        self._now.append(ms)
        self._now_ms += ms
        while len(self._now) > 1 and self._now_ms - self._now[0] >= NOW_MS:
            self._now_ms -= self._now.popleft()
        if len(self._recent) == N_RECENT:
            del self._sorted[bisect_left(self._sorted, self._recent.popleft())]
        self._recent.append(ms)
        insort(self._sorted, ms)
        self._n_sample += 1
        self._sample_ms += ms
        if self._sample_ms >= SAMPLE_MS:
            self.history.append(self._n_sample * 1000.0 / self._sample_ms)
            self._n_sample, self._sample_ms = 0, 0.0

    @property
    def tps_now(self) -> float | None:
        """Tokens per second over the last NOW_MS; None before the second token."""
        return rate(len(self._now), self._now_ms)

    def percentile_ms(self, q: float) -> float | None:
        """The smallest of the recent times that at least `q` of them do not exceed (nearest rank)."""
        return self._sorted[ceil(q * len(self._sorted)) - 1] if self._sorted else None


def rate(n: int, ms: float) -> float | None:
    """Returns `n` per second, None where that is not known."""
    return n * 1000.0 / ms if n > 0 and ms > 0 else None
