"""Finds the k largest of many values without a full sort: at least k reach the k-th largest of the block maxima.

The blocks are strides over the vocabulary, because neighbouring tokens are similar: the k largest seldom share a block.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from app.engine.core.backend import Ids, Logits

_BLOCKS = 1024
_BLOCKS_PER_K = 8


def candidates(values: Logits, k: int) -> tuple[Ids, float, float]:
    """Returns the ids of all values that reach a threshold, in id order; the threshold; the maximum.

    The ids include the min(k, len) largest and few others. The maximum is NaN if any value is.
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
    if math.isnan(threshold):  # NaN sorts last and compares as not larger
        return np.arange(n), -np.inf, maximum
    columns = (maxima >= threshold).nonzero()[0]
    above: npt.NDArray[np.bool_] = blocks[:, columns] >= threshold
    rows, at = above.nonzero()
    found: Ids = rows * n_blocks + columns[at]
    if n_blocked < n:
        found = np.concatenate((found, (values[n_blocked:] >= threshold).nonzero()[0] + n_blocked))
    return found, threshold, maximum


def best(values: Logits, k: int) -> Ids:
    """Returns the ids of the k largest values, largest first; among equals the smaller id first."""
    if k < 1:
        return np.empty(0, np.int64)
    found, _, _ = candidates(values, k)
    return found[(-values[found]).argsort(kind="stable")[:k]]
