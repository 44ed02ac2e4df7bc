"""What the worker reports of its progress during a long native call, and how its heap gives memory back."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable

if sys.platform != "win32":
    import resource

_BUSY = 0.05
"""The least share of one core that is work, and not the answer to a question."""


class Vitals:
    """The loop's thread notes its steps, another one asks."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, work: Callable[[], tuple[float, int]] | None = None
    ) -> None:
        """`work` gives the CPU seconds used and the count of pages and blocks read until now."""
        self._clock = clock
        self._work = work or _work
        self._n_steps = 0
        self._resting = True
        self._seen = 0
        self._since_s = self._asked_s = clock()
        self._used = self._work()

    def step(self) -> None:
        """The loop has made a step, or a load some progress."""
        self._n_steps += 1
        self._resting = False

    def rest(self) -> None:
        """The loop waits for commands."""
        self._resting = True

    def still_s(self) -> float:
        """For how long there has been no progress, in seconds; 0 while the loop waits for commands."""
        now_s = self._clock()
        (cpu_s, n_read), (before_s, n_before) = self._work(), self._used
        worked = cpu_s - before_s > _BUSY * (now_s - self._asked_s) or n_read != n_before
        if self._resting or worked or self._seen != self._n_steps:
            self._since_s = now_s
        self._seen, self._asked_s, self._used = self._n_steps, now_s, (cpu_s, n_read)
        return now_s - self._since_s


def _work() -> tuple[float, int]:
    """CPU seconds of all threads, and pages and blocks read from a disk."""
    if sys.platform == "win32":
        return time.process_time(), 0
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime, usage.ru_majflt + usage.ru_inblock


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h
_MMAP_BYTES = 4 << 20
"""Above the distribution of any vocabulary, which comes and goes with every token."""
_TRIM_BYTES = 16 << 20
_ARENAS = 2


def give_back_freed_blocks() -> None:
    """Sets glibc's thresholds; does nothing where the C library is another one. Call it before much is allocated."""
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
