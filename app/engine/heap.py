"""Keeps what was freed from staying with the process, on glibc.

glibc raises its mmap threshold to the largest block that was freed, up to 32 MiB. The states of conversations then lie
in the heap between small blocks that live on, and their memory is not given back. A fixed threshold keeps them out.
"""

from __future__ import annotations

import ctypes
import sys

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
