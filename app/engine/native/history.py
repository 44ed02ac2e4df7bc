"""The distinct tokens of the last few: those that penalties and DRY may move."""

from __future__ import annotations

from collections import Counter, deque

import numpy as np

from app.engine.core.backend import Ids


class TokenWindow:
    """The last `window` tokens, counted."""

    def __init__(self, window: int) -> None:
        self.window = window
        self._tokens: deque[int] = deque()
        self._counts: Counter[int] = Counter()

    def add(self, token: int) -> None:
        """Takes the newest token and forgets the oldest."""
        if not self.window:
            return
        self._tokens.append(token)
        self._counts[token] += 1
        if len(self._tokens) > self.window:
            oldest = self._tokens.popleft()
            self._counts[oldest] -= 1
            if not self._counts[oldest]:
                del self._counts[oldest]

    def ids(self) -> Ids:
        """Each distinct token once."""
        return np.fromiter(self._counts, np.int64, len(self._counts))
