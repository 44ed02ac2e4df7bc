"""Measures progress during long native calls, and makes the heap return memory to the system."""

from __future__ import annotations

import ctypes
import resource
import sys
import time
from collections.abc import Callable

_BUSY = 0.05
"""CPU use, as a share of one core, above which the process computes and does not only answer a Ping."""


class Vitals:
    """Progress of the loop's thread, read from another thread."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, work: Callable[[], tuple[float, int]] | None = None
    ) -> None:
        """`work` returns the CPU seconds used and the number of pages and blocks read so far."""
        self._clock = clock
        self._work = work or _work
        self._n_steps = 0
        self._resting = True
        self._seen = 0
        self._since_s = self._asked_s = clock()
        self._used = self._work()

    def step(self) -> None:
        """Records a step of the loop or progress of a load."""
        self._n_steps += 1
        self._resting = False

    def rest(self) -> None:
        """Records that the loop waits for commands."""
        self._resting = True

    def still_s(self) -> float:
        """Returns the seconds without progress; 0 while the loop waits for commands."""
        now_s = self._clock()
        (cpu_s, n_read), (before_s, n_before) = self._work(), self._used
        worked = cpu_s - before_s > _BUSY * (now_s - self._asked_s) or n_read != n_before
        if self._resting or worked or self._seen != self._n_steps:
            self._since_s = now_s
        self._seen, self._asked_s, self._used = self._n_steps, now_s, (cpu_s, n_read)
        return now_s - self._since_s


def _work() -> tuple[float, int]:
    """Returns the CPU seconds of all threads, and the pages and blocks read from disk."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime, usage.ru_majflt + usage.ru_inblock


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h
_MMAP_BYTES = 4 << 20
"""Larger than the distribution of any vocabulary, which is allocated and freed with every token."""
_TRIM_BYTES = 16 << 20
_ARENAS = 2


def give_back_freed_blocks() -> None:
    """Sets glibc's thresholds; does nothing with another C library. Call it before large allocations."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    for option, value in (
        (_M_MMAP_THRESHOLD, _MMAP_BYTES),
        (_M_TRIM_THRESHOLD, _TRIM_BYTES),
        (_M_ARENA_MAX, _ARENAS),
    ):
        mallopt(option, value)
