"""The k largest of many values without sorting them: at least k lie above the k-th largest of the blocks' maxima.

The blocks are strides over the vocabulary, whose neighbours are of a kind: the k largest seldom share one.
"""

from __future__ import annotations

import math

import numpy as np

from app.engine.core.backend import Ids, Logits

_BLOCKS = 1024
_BLOCKS_PER_K = 8


def candidates(values: Logits, k: int) -> tuple[Ids, float, float]:
    """The ids of all values that reach a threshold, in id order; the threshold; the maximum, NaN where a value is.

    The min(k, len) largest are among them, and few others.
    """
    n, k = len(values), min(k, len(values))
    n_blocks = min(n, max(_BLOCKS, _BLOCKS_PER_K * k))
    n_blocked = n - n % n_blocks
    maxima = np.maximum.reduce(values[:n_blocked].reshape(-1, n_blocks), axis=0)
    maxima.sort()
    maximum = maxima.item(n_blocks - 1)
    if n_blocked < n:
        maximum = float(np.maximum(maximum, values[n_blocked:].max()))
    threshold = maxima.item(n_blocks - k)
    if math.isnan(threshold):  # values that are no numbers come last in a sort, and are above nothing
        return np.arange(n), -np.inf, maximum
    return (values >= threshold).nonzero()[0], threshold, maximum


def best(values: Logits, k: int) -> Ids:
    """The ids of the k largest values, largest first; the smaller id first among equals."""
    if k < 1:
        return np.empty(0, np.int64)
    found, _, _ = candidates(values, k)
    return found[(-values[found]).argsort(kind="stable")[:k]]
