"""Measures the model's distribution over the vocabulary before the sampler: exactly, and fast enough for each token."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from app.engine.core import topk
from app.engine.core.backend import Ids, Logits

_LN2 = math.log(2.0)


@dataclass(slots=True)
class Measured:
    """The distribution of one step: the chosen token and the k most likely ones."""

    p: float
    logprob: float
    rank: int
    entropy: float
    top: list[tuple[int, float]]
    """(id, probability), most likely first."""
    p_end: float = 0.0
    """Total probability of the end-of-generation tokens."""
    log_total: float = 0.0
    """Natural logarithm of the sum of exp(logit)."""


class Distribution:
    """Measures distributions with reused buffers; one per loop.

    Sums float32 values in blocks: probabilities are within 1e-6 of a float64 softmax.
    """

    def __init__(self, n_vocab: int, eog: Iterable[int] = ()) -> None:
        """`eog`: the end-of-generation tokens, for `Measured.p_end`."""
        self._eog = tuple(eog)
        self._total = 1.0
        self._shifted = np.empty(n_vocab, np.float32)
        self._weights = np.empty(n_vocab, np.float32)

    def best(self, logits: Logits, k: int) -> list[int]:
        """Returns the ids of the `k` most likely tokens, most likely first."""
        return topk.best(logits, k).tolist()

    def measure(self, logits: Logits, chosen: int, k: int, near: Ids | None = None) -> Measured:
        """Measures `chosen` and the `k` most likely tokens. `logits`: shape (n_vocab,), not changed.

        `near`: ids that include the most likely tokens, if the sampler has found them already.
        """
        shifted, weights = self._shifted, self._weights
        if near is None or len(near) < max(k, 1):
            near = topk.best(logits, max(k, 1))
        falling = -logits[near]
        order = falling.argsort(kind="stable")
        ordered: list[float] = falling[order].tolist()
        np.add(logits, ordered[0], out=shifted)
        np.exp(shifted, out=weights)
        total = self._total = float(np.add.reduce(weights))
        log_total = math.log(total)
        logprob = shifted.item(chosen) - log_total
        own: float = logits.item(chosen)
        rank = 1 + bisect_left(ordered, -own)
        if rank > len(ordered):  # else: nothing outside `near` is larger than its smallest value
            rank = 1 + int(np.count_nonzero(logits > own))
        best = near[order[:k]]
        top = [(token, weight / total) for token, weight in zip(best.tolist(), weights[best].tolist(), strict=True)]
        p_end = sum(map(weights.item, self._eog)) / total
        entropy = max(0.0, (log_total - _dot(weights, shifted) / total) / _LN2)
        return Measured(math.exp(logprob), logprob, rank, entropy, top, p_end, log_total - ordered[0])

    def rank(self, logits: Logits, token: int) -> int:
        """Returns the rank of a token; 1 is the most likely."""
        return 1 + int(np.count_nonzero(logits > logits[token]))

    def p(self, token: int) -> float:
        """Returns the probability of another token in the last measured row."""
        return self._weights.item(token) / self._total


def _dot(weights: Logits, shifted: Logits) -> float:
    # A masked logit is -inf with weight 0: 0 * -inf is NaN and must count as 0.
    if shifted.item(shifted.argmin()) == -math.inf:
        finite = np.isfinite(shifted)
        weights, shifted = weights[finite], shifted[finite]
    return float(weights.dot(shifted))
