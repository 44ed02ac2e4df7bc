"""Chooses the number of threads of a decode on a busy machine.

llama.cpp's threads meet at a barrier some hundred times per token: when another program takes one core for a moment,
all wait, and two threads can be a hundred times slower than one. So fewer threads are tried when steps become slow, and
kept as long as more are not faster.
"""

from __future__ import annotations

from collections import deque
from statistics import mean, median

_RECENT = 6
_SLOW = 2.5
"""A step is slow if it takes this many times the best time; half of the recent steps slow is trouble."""
_PREFILL_SHARE = 0.6
"""A step that takes this share of a large prefill is trouble from the start."""
_TRIAL = 4
_GAIN = 0.85
"""A trial is adopted if it takes at most this share of the time."""
_HOPELESS = 5.0
"""A trial ends with its first step that takes this many times as long."""
_FIRST_REST, _LONGEST_REST = 48, 384
_DRIFT = 1.003
"""Growth of the best time per step: decodes get slower as the context fills."""


class ThreadGovernor:
    """Chooses between all, all but one, half and one of the configured threads; learns from every single-row decode."""

    def __init__(self, n_threads: int) -> None:
        self._levels = sorted({n_threads, max(1, n_threads - 1), max(1, n_threads // 2), 1}, reverse=True)
        self._level = 0
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._best = float("inf")
        self._prefill_ms = float("inf")
        self._rest = 0
        """Steps until the next trial may begin."""
        self._next_rest = _FIRST_REST
        self._trial: list[float] | None = None
        self._home = 0
        """The level that a trial is compared with."""

    @property
    def n_threads(self) -> int:
        """Number of threads for the next decode."""
        return self._levels[self._level]

    def prefilled(self, ms: float) -> None:
        """Records the duration of a large prefill."""
        self._prefill_ms = ms

    def decoded(self, ms: float) -> None:
        """Records the duration of a decode of one row with `n_threads`."""
        if self._trial is not None:
            self._trial.append(ms)
            if ms > _HOPELESS * mean(self._recent):
                self._judge(ms)
            elif len(self._trial) == _TRIAL:
                self._judge(mean(self._trial[1:]))  # the first step after a change wakes threads up
            return
        self._recent.append(ms)
        self._best = min(self._best * _DRIFT, ms)
        if self._rest:
            self._rest -= 1
        elif not self._level and ms <= _SLOW * self._best and ms <= _PREFILL_SHARE * self._prefill_ms:
            return  # the usual case; trouble shows in the newest step too
        elif len(self._recent) == _RECENT or self._worse_than_prefill():
            if self._level + 1 < len(self._levels) and self._troubled():
                self._try(self._level + 1)
            elif self._level:
                self._try(self._level - 1)

    def _troubled(self) -> bool:
        n_slow = sum(ms > _SLOW * self._best for ms in self._recent)
        return 2 * n_slow >= _RECENT or self._worse_than_prefill()

    def _worse_than_prefill(self) -> bool:
        return len(self._recent) > 1 and median(self._recent) > _PREFILL_SHARE * self._prefill_ms

    def _try(self, level: int) -> None:
        self._home, self._level, self._trial = self._level, level, []

    def _judge(self, trial_ms: float) -> None:
        """Ends a trial: keeps the faster level, and delays the next trial after a failed one."""
        adopted = trial_ms < _GAIN * mean(self._recent)
        self._trial = None
        if adopted:
            self._next_rest = _FIRST_REST
            self._recent.clear()
        else:
            self._level = self._home
            self._next_rest = min(2 * self._next_rest, _LONGEST_REST)
        self._rest = self._next_rest
