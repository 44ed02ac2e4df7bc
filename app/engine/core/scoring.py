"""Computes how likely given tokens are, as llama-perplexity does; over ids, without text.

The tokens are cut into windows of `n_ctx`, each computed from an empty cache; if the model wants BOS, it replaces the
first token of a window. The perplexity counts the second half of each full window, so that every counted token has at
least half a window before it; the remainder after the last full window does not count. If there is no full window, all
tokens but the first count.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from app.engine.core.backend import Backend, ComputeError, Decoded, Logits
from app.engine.core.distribution import Distribution, Measured
from app.engine.core.reuse import Reuse
from app.engine.core.slots import Slot, SlotTable

SMALLEST_WINDOW = 4
"""Tokens; the second half of a smaller window would be empty."""


def check_window(n_ctx: int, largest: int) -> None:
    """Raises ValueError if `n_ctx` is not a valid window."""
    if not SMALLEST_WINDOW <= n_ctx <= largest:
        raise ValueError(f"the window must be {SMALLEST_WINDOW}–{largest} tokens, got {n_ctx}")


@dataclass(slots=True)
class ScoredId:
    """One token with its probability."""

    index: int
    """Index among the given tokens."""
    token: int
    measured: Measured | None
    """None for the very first token, which has no context."""
    counts: bool
    """Whether it counts for the perplexity."""
    decode_ms: float = 0.0
    measure_ms: float = 0.0


class Scoring:
    """Scores one text in one slot of a context; empties the slot before and after."""

    def __init__(self, backend: Backend, tokens: list[int], bos: int | None, n_ctx: int, top_k: int) -> None:
        """`bos` replaces the first token of each window of `n_ctx` tokens; None keeps it."""
        self._backend = backend
        self._tokens = tokens
        self._bos = bos
        self._n_ctx = n_ctx
        self._top_k = top_k
        self._distribution = Distribution(backend.n_vocab, backend.eog)
        self._slot: Slot | None = None
        self._n_resets = 0
        self._n_fed = 0
        """Tokens whose rows were computed."""
        self._n_reported = 0

    @property
    def done(self) -> bool:
        """Whether every token was reported."""
        return self._n_reported == len(self._tokens)

    def claim(self, slots: SlotTable, reuse: Reuse) -> bool:
        """Takes a slot unless it has one; False if all are in use. The archive keeps the slot's old state."""
        if self._slot and self._n_resets != slots.n_resets:  # the context was replaced, and its window is lost
            self._slot, self._n_fed = None, self._n_fed - self._n_fed % self._n_ctx
        if self._slot is None and (claimed := slots.claim([])):
            self._slot, self._n_resets = claimed[0], slots.n_resets
            reuse.keep(self._slot)
            self._empty(self._slot)
            self._slot.adapters = self._backend.adapters(None)
            self._slot.private, self._slot.conversation = True, 0
        return self._slot is not None

    def close(self, slots: SlotTable) -> None:
        """Gives the slot back. Idempotent."""
        if self._slot and self._n_resets == slots.n_resets:
            self._empty(self._slot)
            slots.release(self._slot)
        self._slot = None

    def step(self) -> list[ScoredId]:
        """Computes as many rows as can have logits at once. Raises ComputeError."""
        first = [ScoredId(0, self._tokens[0], None, counts=False)] if self._tokens and not self._n_reported else []
        self._n_reported += len(first)
        return [*first, *self._compute()]

    def _compute(self) -> list[ScoredId]:
        slot, backend = self._slot, self._backend
        assert slot is not None
        start = self._n_fed - self._n_fed % self._n_ctx
        # The last row of a window predicts the first token of the next one; that of the text predicts nothing.
        end = min(start + self._n_ctx, len(self._tokens) - 1, self._n_fed + backend.batch.max_outputs)
        rows = self._tokens[self._n_fed : end]
        if not rows:
            return []
        if self._n_fed == start:
            self._empty(slot)
            if self._bos is not None:
                rows[0] = self._bos
        began_s = time.perf_counter()
        if not self._decode(slot, rows):
            self._n_fed = start
            return []
        decode_ms = (time.perf_counter() - began_s) * 1e3 / len(rows)
        found = [
            self._measure(index, backend.logits(row), decode_ms)
            for row, index in enumerate(range(self._n_fed + 1, end + 1))
        ]
        self._n_fed = end
        new = [scored for scored in found if scored.index >= self._n_reported]
        self._n_reported += len(new)
        return new

    def _decode(self, slot: Slot, rows: list[int]) -> bool:
        """Decodes the batch; returns False if the abort of another request stopped it and the window starts again."""
        backend = self._backend
        backend.use_adapters(slot.adapters)
        backend.use_threads(backend.n_threads)
        backend.batch.clear()
        backend.batch.add(rows, len(slot.tokens), slot.seq_id, len(rows))
        decoded = backend.decode()
        if decoded is Decoded.NO_SLOT:
            raise ComputeError("the text does not fit in the context")
        if decoded is Decoded.ABORTED:
            backend.clear_abort()
            return False
        slot.add(rows, time.time())
        return True

    def _measure(self, index: int, logits: Logits, decode_ms: float) -> ScoredId:
        began_s = time.perf_counter()
        token = self._tokens[index]
        measured = self._distribution.measure(logits, token, self._top_k)
        return ScoredId(index, token, measured, self._counts(index), decode_ms, (time.perf_counter() - began_s) * 1e3)

    def _counts(self, index: int) -> bool:
        n_windows = len(self._tokens) // self._n_ctx
        window, place = divmod(index, self._n_ctx)
        return window < n_windows and place > self._n_ctx // 2 if n_windows else index > 0

    def _empty(self, slot: Slot) -> None:
        self._backend.clear(slot.seq_id)
        slot.cut(0)
        slot.shifted = False
