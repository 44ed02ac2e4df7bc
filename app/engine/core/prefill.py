"""How many prompt tokens go into one decode: large for speed, small enough that progress and aborts stay prompt."""

from __future__ import annotations

_TARGET_S = 0.5
_SHARED_TARGET_S = 0.08
_SMALLEST = 32
_ALONE = 64
"""The smallest chunk while nobody decodes: llama.cpp's CPU attention takes half the time a row from 64 rows on."""


class ChunkSize:
    """Learns this model's prefill speed from the batches that it sees."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._limit = capacity
        self._rows_per_s = 0.0

    def size(self, n_decoding: int, fixed: bool = False) -> int:
        """Rows for prompt chunks in the next batch; fewer while other sequences decode and wait for it.

        With `fixed` they do not depend on how fast the machine was, so that exact runs have the same batches.
        """
        if fixed:
            return self._capacity
        if not self._rows_per_s:
            return self._limit
        target = _SHARED_TARGET_S if n_decoding else _TARGET_S
        size = _SMALLEST if n_decoding else _ALONE
        while size < self._limit and size < self._rows_per_s * target:
            size *= 2
        return min(size, self._limit)

    def measured(self, n_rows: int, seconds: float) -> None:
        """Tells how long a batch took; small ones say nothing about prefill."""
        if n_rows >= _SMALLEST and seconds > 0:
            self._rows_per_s = n_rows / seconds

    def recover(self) -> None:
        """Allows full chunks again, once nothing fills the cache."""
        self._limit = self._capacity

    def halve(self) -> bool:
        """Makes later chunks smaller after the cache refused one; False when they cannot be."""
        if self._limit <= _SMALLEST:
            return False
        self._limit //= 2
        return True
