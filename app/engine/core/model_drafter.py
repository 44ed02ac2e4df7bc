"""A drafter that asks a smaller model with the same vocabulary (Leviathan et al. 2023).

It drafts greedily: a proposal that is certain is accepted as often under any acceptance rule. Its own KV cache follows
the sequence by longest common prefix, so that a rejected draft costs it nothing but the cells that it gives up.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import numpy as np

from app.engine.core.backend import Backend, ComputeError, Decoded, Logits
from app.engine.core.draft import MODEL, NO_DRAFT, Draft
from app.engine.core.pace import Pace
from app.engine.core.slots import common_prefix

_P_MIN = 0.4
"""A draft ends before a token that the small model itself gives less than this."""
_CATCH_UP = 256
"""Tokens that are caught up in one go, so that a long prompt does not hold up the target's step."""

_USUAL = 2
"""Tokens behind where the whole last draft was accepted; more are behind only after a time without drafts."""
_MANY = 16


class ModelDrafter:
    """Drafts for one sequence, in one sequence of the draft model's context."""

    costs_time = True

    def __init__(
        self,
        backend: Backend,
        seq_id: int,
        cells: list[int],
        n_vocab: int,
        clock: Callable[[], float] = time.perf_counter,
        pace: Pace | None = None,
    ) -> None:
        """Drafts ids below `n_vocab`, the target's.

        `cells`: the ids in the draft model's cache for `seq_id`; kept up to date, and reused by the next drafter.
        `pace`: of the draft model's context, whose threads give way to other programs as the target's do.
        """
        self._backend = backend
        self._seq_id = seq_id
        self._cells = cells
        self._n_vocab = n_vocab
        self._clock = clock
        self._pace = pace or Pace(backend)
        self._tokens: list[int] = []
        costs = self._pace.costs
        self.ms_per_token = costs.single_ms
        self.ms_first = costs.single_ms * costs.relative(_USUAL)

    def accept(self, tokens: Sequence[int]) -> None:
        """See `app.engine.core.draft.Drafter`."""
        self._tokens += tokens

    def draft(self, k: int) -> Draft:
        """See `app.engine.core.draft.Drafter`. Empty while the draft model still reads the prompt."""
        if k < 1 or len(self._tokens) + k >= self._backend.n_ctx:
            return NO_DRAFT
        n_behind = len(self._tokens) - common_prefix(self._cells, self._tokens)
        began = self._clock()
        try:
            logits = self._catch_up()
        except ComputeError:
            self._forget()
            return NO_DRAFT
        if logits is None:
            return NO_DRAFT
        if n_behind <= _USUAL:
            self.ms_first = _steadier(self.ms_first, (self._clock() - began) * 1e3)
        drafted: list[int] = []
        began = self._clock()
        while logits is not None:
            token, p = _greedy(logits)
            if p < _P_MIN or token >= self._n_vocab:
                break
            drafted.append(token)
            if len(drafted) == k:
                break
            try:
                logits = self._decode([token])
            except ComputeError:
                self._forget()
                break
        if len(drafted) > 1:
            self.ms_per_token = _steadier(self.ms_per_token, (self._clock() - began) * 1e3 / (len(drafted) - 1))
        return Draft(drafted, MODEL)

    def _catch_up(self) -> Logits | None:
        """Brings the cache up to the accepted tokens; the logits after the last one, or None when it is not there yet.

        Raises ComputeError.
        """
        n_common = min(common_prefix(self._cells, self._tokens), len(self._tokens) - 1)
        if n_common < len(self._cells):
            if not self._backend.truncate(self._seq_id, n_common):
                self._forget()
                n_common = 0
            del self._cells[n_common:]
        behind = self._tokens[n_common : n_common + min(_CATCH_UP, self._backend.batch.capacity)]
        logits = self._decode(behind)
        return logits if len(self._cells) == len(self._tokens) else None

    def _decode(self, tokens: list[int]) -> Logits | None:
        backend = self._backend
        backend.batch.clear()
        first = backend.batch.add(tokens, len(self._cells), self._seq_id, 1)
        self._pace.prepare(exact=False)
        began = self._clock()
        if backend.decode() is not Decoded.DONE:
            backend.clear_abort()
            if not backend.truncate(self._seq_id, len(self._cells)):
                self._forget()
            return None
        self._pace.decoded(self._clock() - began, n_decoding=int(len(tokens) < _MANY), exact=False)
        self._cells += tokens
        return backend.logits(first + len(tokens) - 1)

    def _forget(self) -> None:
        self._backend.clear(self._seq_id)
        self._cells.clear()


def _steadier(before: float, ms: float) -> float:
    """A cost with a new measurement: the minimum matters more than the mean, as another program is no cost of ours."""
    return min(ms, before * 1.05) if before else ms


def _greedy(logits: Logits) -> tuple[int, float]:
    """The most likely token and its probability."""
    token = int(logits.argmax())
    return token, 1.0 / float(np.exp(logits - logits[token]).sum(dtype=np.float64)) if math.isfinite(
        logits[token]
    ) else 0.0
