"""The k largest of many values without sorting them: at least k lie above the k-th largest of the blocks' maxima.

The blocks are strides over the vocabulary, whose neighbours are of a kind: the k largest seldom share one.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

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
    blocks = values[:n_blocked].reshape(-1, n_blocks)
    maxima = np.maximum.reduce(blocks, axis=0)
    ordered = np.sort(maxima)
    maximum = ordered.item(n_blocks - 1)
    if n_blocked < n:
        maximum = float(np.maximum(maximum, values[n_blocked:].max()))
    threshold = ordered.item(n_blocks - k)
    if math.isnan(threshold):  # values that are no numbers come last in a sort, and are above nothing
        return np.arange(n), -np.inf, maximum
    columns = (maxima >= threshold).nonzero()[0]
    above: npt.NDArray[np.bool_] = blocks[:, columns] >= threshold
    rows, at = above.nonzero()
    found: Ids = rows * n_blocks + columns[at]
    if n_blocked < n:
        found = np.concatenate((found, (values[n_blocked:] >= threshold).nonzero()[0] + n_blocked))
    return found, threshold, maximum


def best(values: Logits, k: int) -> Ids:
    """The ids of the k largest values, largest first; the smaller id first among equals."""
    if k < 1:
        return np.empty(0, np.int64)
    found, _, _ = candidates(values, k)
    return found[(-values[found]).argsort(kind="stable")[:k]]
