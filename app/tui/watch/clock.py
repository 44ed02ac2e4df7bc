"""The screen's clock beside the engine's: how long what has arrived waits for its flush, and what the screen costs.

Is told the times and reads none.
"""

from __future__ import annotations


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
