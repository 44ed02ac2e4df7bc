"""A drafter with a smaller model of the same vocabulary (Leviathan et al. 2023).

It uses the target's next random numbers, so that the two models agree on a token when they agree on the distribution
(common random numbers); the text is always the target's own sample. Its KV cache follows the sequence by longest common
prefix, so that a rejected draft costs only its cells.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from app.engine.core.backend import Backend, ComputeError, Decoded, Logits, Sampler, Shadow
from app.engine.core.costs import typical
from app.engine.core.draft import MODEL, NO_DRAFT, Draft
from app.engine.core.slots import common_prefix
from app.engine.core.tuning import DecodeTuner

_ALL_RIGHT = 0.4
"""A draft ends before the token that would make the chance of a fully correct draft smaller than this."""
_BINS, _PRIOR, _PRIOR_WEIGHT = 8, 0.85, 2.0
_CATCH_UP = 256
"""Maximum tokens to catch up at once, so that a long prompt does not delay the target's step."""

_USUAL = 2
"""Tokens to catch up after a fully accepted draft; more only after a time without drafts."""
_MANY = 16
_MEMORY = 32
"""Effective number of drafted tokens per bin; older ones fade."""


class ModelDrafter:
    """Drafts for one sequence, with one sequence of the draft model's context."""

    costs_time = True

    def __init__(
        self,
        backend: Backend,
        seq_id: int,
        sampler: Sampler,
        cells: list[int],
        n_vocab: int,
        clock: Callable[[], float] = time.perf_counter,
        pace: DecodeTuner | None = None,
    ) -> None:
        """Drafts ids below the target's `n_vocab`, with the random numbers of `sampler`.

        `cells`: the ids in the draft model's cache for `seq_id`; kept up to date for the next drafter.
        `pace`: the tuner of the draft model's context, which adapts its threads as the target's does.
        """
        self._backend = backend
        self._seq_id = seq_id
        self._sampler = sampler
        self._cells = cells
        self._n_vocab = n_vocab
        self._clock = clock
        self._pace = pace or DecodeTuner(backend)
        self._tokens: list[int] = []
        self._right = [_PRIOR] * _BINS
        """Chance that a drafted token is accepted if those before it were, by the draft model's probability."""
        self._n_seen = [_PRIOR_WEIGHT] * _BINS
        self._proposed: list[tuple[int, int]] = []
        """The last draft and the token that ended it, each with its bin."""
        costs = self._pace.costs
        self.ms_per_token = costs.single_ms
        self.ms_first = costs.single_ms * costs.relative(_USUAL)

    def accept(self, tokens: Sequence[int]) -> None:
        """Implements `Drafter.extend`; learns from the last draft and from the token that ended it."""
        for (proposed, bin_), token in zip(self._proposed, tokens, strict=False):
            self._n_seen[bin_] += 1
            self._right[bin_] += ((proposed == token) - self._right[bin_]) / min(self._n_seen[bin_], _MEMORY)
            if proposed != token:
                break
        self._proposed.clear()
        self._tokens += tokens

    def draft(self, k: int) -> Draft:
        """Implements `Drafter.draft`; empty while the draft model still reads the prompt."""
        self._proposed.clear()
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
        first_ms = (self._clock() - began) * 1e3
        if n_behind <= _USUAL:
            self.ms_first = typical(self.ms_first, first_ms)
        began = self._clock()
        shadow = self._sampler.shadow()
        try:
            drafted = self._draw(shadow, logits, k)
        finally:
            shadow.close()
        if len(drafted) > 1:
            self.ms_per_token = typical(self.ms_per_token, (self._clock() - began) * 1e3 / (len(drafted) - 1))
        elif n_behind <= _USUAL:  # a slow moment must not keep drafts short for ever
            self.ms_per_token = typical(self.ms_per_token, first_ms / n_behind)
        return Draft(drafted, MODEL)

    def _draw(self, shadow: Shadow, logits: Logits | None, k: int) -> list[int]:
        drafted: list[int] = []
        chance = 1.0
        while logits is not None and (here := self._of_target(logits)) is not None:
            try:
                token = shadow.choose(here)
            except ComputeError:
                break
            bin_ = min(int(_probability(logits, token) * _BINS), _BINS - 1)
            self._proposed.append((token, bin_))
            chance *= self._right[bin_]
            if chance < _ALL_RIGHT:
                break
            drafted.append(token)
            if len(drafted) == k or token in self._backend.eog:
                break
            try:
                logits = self._decode([token])
            except ComputeError:
                self._forget()
                break
        return drafted

    def _of_target(self, logits: Logits) -> Logits | None:
        """The logits over the target's vocabulary, which may differ slightly in length.

        None if the most likely token is not in it.
        """
        n_more = len(logits) - self._n_vocab
        if n_more < 0:
            return np.pad(logits, (0, -n_more), constant_values=-np.inf)
        if n_more and logits.argmax() >= self._n_vocab:
            return None
        return logits[: self._n_vocab]

    def _catch_up(self) -> Logits | None:
        """Computes accepted tokens; returns the logits after the last one, or None if some are still missing.

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


def _probability(logits: Logits, token: int) -> float:
    weights = np.exp(logits - logits.item(logits.argmax()))
    return weights.item(token) / float(weights.sum())
