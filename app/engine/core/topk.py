"""The k largest of many values without sorting them: a threshold below the maximum that adapts from step to step."""

from __future__ import annotations

import numpy as np

from app.engine.core.backend import Ids, Logits

_FIRST_MARGIN = 8.0
_WIDEST = 1e4
_MANY = 12
_NARROWER, _WIDER = 0.95, 1.5
_LOOSE = 2


class TopK:
    """Remembers a good threshold; one instance for one kind of values and one k."""

    def __init__(self) -> None:
        self._margin = _FIRST_MARGIN

    def candidates(self, values: Logits, maximum: float, k: int) -> tuple[Ids, float]:
        """The ids of all values that reach a threshold, in id order, and the threshold.

        The min(k, len) largest are among them, and few others: at most as many again, but for equal values.
        """
        margin, k = self._margin, min(k, len(values))
        found = np.flatnonzero(values >= maximum - margin)
        while len(found) < k:
            margin *= _WIDER
            if margin > _WIDEST:  # what is missing is -inf or NaN
                return np.arange(len(values)), -np.inf
            found = np.flatnonzero(values >= maximum - margin)
        # A second pass over the vocabulary costs more than many candidates do: wide at once, narrower little by little.
        self._margin = max(0.5, margin * _NARROWER) if len(found) > _MANY * k else margin
        threshold = maximum - margin
        if len(found) > _LOOSE * k:
            near = values[found]
            threshold = float(np.partition(near, len(near) - k)[len(near) - k])
            found = found[near >= threshold]
        return found, threshold

    def best(self, values: Logits, maximum: float, k: int) -> Ids:
        """The ids of the k largest values, largest first; the smaller id first among equals."""
        if k < 1:
            return np.empty(0, np.int64)
        found, _ = self.candidates(values, maximum, k)
        return found[np.argsort(-values[found], kind="stable")[:k]]
