"""What this machine has shown of its speed, and what follows: chunk sizes, draft lengths, threads."""

from __future__ import annotations

from app.engine.core.backend import Backend
from app.engine.core.costs import CostCurve
from app.engine.core.threads import ThreadGovernor

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


_MANY_ROWS = 16


class DecodeTuner:
    """Told of every decode of one context."""

    def __init__(self, backend: Backend) -> None:
        self.chunk = ChunkSize(backend.batch.capacity)
        self.costs = CostCurve()
        self._backend = backend
        self._threads = ThreadGovernor(backend.n_threads)

    def prepare(self, *, exact: bool) -> None:
        """Sets the threads of the next decode: as many as wanted where it is `exact`, else what pays."""
        self._backend.use_threads(self._backend.n_threads if exact else self._threads.n_threads)

    def decoded(self, seconds: float, *, n_decoding: int, exact: bool) -> None:
        """Tells how long the batch took.

        `n_decoding`: how many sequences decoded in it, with their drafts; 0 where it held anything of a prompt too.
        `exact`: threads may not change.
        """
        n_rows, ms = self._backend.batch.n, seconds * 1e3
        self.chunk.measured(n_rows, seconds)
        if n_decoding:
            # A step of several rows counts as what one of them takes: where each is so, no other tells of trouble.
            of_one_row = ms / self.costs.relative(n_rows)
            if n_decoding == 1:
                self.costs.measured(n_rows, ms)
            if not exact:
                self._threads.decoded(of_one_row)
        elif n_rows >= _MANY_ROWS:
            self._threads.prefilled(ms)
            self.costs.prefilled(n_rows, ms)
