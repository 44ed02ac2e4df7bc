"""How fast tokens come (rates, percentiles, a short history), and the delay and cost that the screen adds."""

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


class TokenRate:
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


class ScreenClock:
    """One turn's; `start` begins anew. Seconds are of any one clock that does not go backwards."""

    def __init__(self) -> None:
        self.n_flushes = self.n_ticks = 0
        self.lag_ms = self.worst_lag_ms = self._lags_ms = 0.0
        """Of the last flush, and the longest: from the arrival of the oldest text in it to its end."""
        self.cpu_ms = self.panels_ms = 0.0
        """CPU of the screen's thread in the whole turn; of it, composing panels."""
        self._oldest_s: float | None = None
        self._began_s = self._now_s = self._began_cpu_s = 0.0

    def start(self, now_s: float, cpu_s: float) -> None:
        """A turn begins; `cpu_s` is what the thread has used in its life."""
        self.__init__()
        self._began_s = self._now_s = now_s
        self._began_cpu_s = cpu_s

    def forget(self) -> None:
        """The turn is not the one that is shown any more."""
        self.__init__()

    def arrived(self, now_s: float) -> None:
        """Text has come and waits for the next flush."""
        if self._oldest_s is None:
            self._oldest_s = now_s

    def flushed(self, now_s: float) -> None:
        """What waited has been handed to the screen."""
        if self._oldest_s is None:
            return
        self.lag_ms = (now_s - self._oldest_s) * 1e3
        self.worst_lag_ms = max(self.worst_lag_ms, self.lag_ms)
        self._lags_ms += self.lag_ms
        self.n_flushes += 1
        self._oldest_s = None

    def ticked(self, now_s: float, cpu_s: float, panels_s: float) -> None:
        """The panels were composed, which took `panels_s`."""
        self._now_s = now_s
        self.cpu_ms = (cpu_s - self._began_cpu_s) * 1e3
        self.panels_ms += panels_s * 1e3
        self.n_ticks += 1

    @property
    def mean_lag_ms(self) -> float | None:
        """The mean of all flushes; None before the first."""
        return self._lags_ms / self.n_flushes if self.n_flushes else None

    @property
    def wall_ms(self) -> float:
        """From the beginning of the turn to the last tick."""
        return (self._now_s - self._began_s) * 1e3
