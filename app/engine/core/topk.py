"""The k largest of many values without sorting them: a threshold below the maximum that adapts from step to step."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from app.engine.core.backend import Logits

Ids = npt.NDArray[np.int64]
_FIRST_MARGIN = 8.0
_WIDEST = 1e4
_ENOUGH = 24


class TopK:
    """Remembers a good threshold; one instance for one kind of values and one k."""

    def __init__(self) -> None:
        self._margin = _FIRST_MARGIN

    def candidates(self, values: Logits, maximum: float, k: int) -> Ids:
        """Ids of at least min(k, len) values, the k largest among them, in id order."""
        margin, k = self._margin, min(k, len(values))
        found = np.flatnonzero(values >= maximum - margin)
        while len(found) < k:
            margin *= 1.6
            if margin > _WIDEST:  # what is missing is -inf or NaN
                return np.arange(len(values))
            found = np.flatnonzero(values >= maximum - margin)
        # Narrower next time where far too many passed: sorting them would cost more than one more try.
        self._margin = max(0.5, margin * 0.8) if len(found) > _ENOUGH * k else margin
        return found

    def best(self, values: Logits, maximum: float, k: int) -> Ids:
        """The ids of the k largest values, largest first; the smaller id first among equals."""
        found = self.candidates(values, maximum, k)
        return found[np.argsort(-values[found], kind="stable")[:k]]
