"""Adapts chunk sizes, draft lengths and threads to the measured speed of the machine."""

from __future__ import annotations

from app.engine.core.backend import Backend
from app.engine.core.costs import CostCurve
from app.engine.core.threads import ThreadGovernor

_TARGET_S = 0.5
_SHARED_TARGET_S = 0.08
_SMALLEST = 32
_ALONE = 64
"""Smallest chunk while nothing decodes: from 64 rows on, llama.cpp's CPU attention takes half the time per row."""


class ChunkSize:
    """Learns the prefill speed of the model from its batches."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._limit = capacity
        self._rows_per_s = 0.0

    def size(self, n_decoding: int, fixed: bool = False) -> int:
        """Returns the rows for prompt chunks in the next batch; fewer while other sequences decode.

        With `fixed` the number does not depend on measured speed, so that exact runs have the same batches.
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
        """Records the duration of a batch; ignores small ones."""
        if n_rows >= _SMALLEST and seconds > 0:
            self._rows_per_s = n_rows / seconds

    def recover(self) -> None:
        """Allows full chunks again after the cache has room."""
        self._limit = self._capacity

    def halve(self) -> bool:
        """Makes later chunks smaller after the cache refused one; False if they are already minimal."""
        if self._limit <= _SMALLEST:
            return False
        self._limit //= 2
        return True


_MANY_ROWS = 16


class DecodeTuner:
    """Tunes the decodes of one context from their durations."""

    def __init__(self, backend: Backend) -> None:
        self.chunk = ChunkSize(backend.batch.capacity)
        self.costs = CostCurve()
        self._backend = backend
        self._threads = ThreadGovernor(backend.n_threads)

    def prepare(self, *, exact: bool) -> None:
        """Sets the threads of the next decode: all for an `exact` one, else the fastest number."""
        self._backend.use_threads(self._backend.n_threads if exact else self._threads.n_threads)

    def decoded(self, seconds: float, *, n_decoding: int, exact: bool) -> None:
        """Records the duration of a batch.

        `n_decoding`: number of sequences that decoded in it; 0 if it also had rows of a prompt.
        `exact`: whether threads must not change.
        """
        n_rows, ms = self._backend.batch.n, seconds * 1e3
        self.chunk.measured(n_rows, seconds)
        if n_decoding:
            # A step of several rows counts per row: if all steps are such, nothing else shows trouble.
            of_one_row = ms / self.costs.relative(n_rows)
            if n_decoding == 1:
                self.costs.measured(n_rows, ms)
            if not exact:
                self._threads.decoded(of_one_row)
        elif n_rows >= _MANY_ROWS:
            self._threads.prefilled(ms)
            self.costs.prefilled(n_rows, ms)
