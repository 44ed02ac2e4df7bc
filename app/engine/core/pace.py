"""What this machine has shown of its speed, and what follows: chunk sizes, draft lengths, the number of threads."""

from __future__ import annotations

from app.engine.core.backend import Backend
from app.engine.core.costs import CostCurve
from app.engine.core.prefill import ChunkSize
from app.engine.core.threads import ThreadGovernor

_MANY_ROWS = 16


class Pace:
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
