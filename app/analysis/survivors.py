"""The alternatives to a token, and which stored candidates survive the sampler's stages."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from app.domain.trace import TokenTrace, TopToken

INF = math.inf
_NEAR = 1e-5
"""A sum closer than this to a limit may fall on either side: llama.cpp adds in single precision."""


class Survivors:
    """The candidates as one stage after the other cuts them; begins with the whole vocabulary.

    Attributes:
        low, high: at least and at most so many survive; INF is all there are.
    """

    def __init__(self, p: Sequence[float], n_known: int, bound: float, rest: tuple[float, float] | None = None) -> None:
        """Begins with probabilities of candidates, best first; there must be some, and the first is above 0.

        Args:
            p: of all that are stored.
            n_known: so many of them are certainly the most likely of the vocabulary.
            bound: what any token but those can have at most.
            rest: what all but the known ones weigh together, at least and at most; None is what is left to 1.
        """
        self.low = self.high = INF
        self._n_known = n_known
        self._weights = [value / p[0] for value in p]
        self._bound = bound / p[0]
        # What all but the known ones weigh together.
        left = max(0.0, 1.0 - math.fsum(p[:n_known]))
        self._rest_low, self._rest_high = (value / p[0] for value in rest or (left, left))
        self._sum()

    @property
    def are_known(self) -> bool:
        """Whether exactly these survive, for certain."""
        return self.low == self.high <= self._n_known

    def p(self) -> tuple[float, ...]:
        """Returns the probabilities of the stored candidates as they stand; 0 for one that was cut."""
        n = int(min(self.high, len(self._weights)))
        total = self._sums[n]
        if self.high > self._n_known and math.isfinite(rest := self._bounded(self._rest_high, self.high)):
            total = max(total, self._sums[self._n_known] + rest)
        return tuple(weight / total if i < n else 0.0 for i, weight in enumerate(self._weights))

    def top_k(self, k: int) -> None:
        """Keeps the k most likely."""
        self.low, self.high = min(self.low, k), min(self.high, k)
        self._rest_low = 0.0

    def top_p(self, p: float) -> None:
        """Keeps the smallest set whose probabilities sum to p."""
        least, most = self._total(self.low, self._rest_low), self._total(self.high, self._rest_high)
        self.low = min(self.low, self._reaching((p - _NEAR) * least))
        self.high = min(self.high, self._reaching((p + _NEAR) * most))
        self._rest_low = 0.0

    def min_p(self, p: float) -> None:
        """Drops what is less likely than p times the most likely one."""
        known = self._weights[: self._n_known]
        surely = sum(weight >= p * (1 + _NEAR) for weight in known)
        perhaps = sum(weight >= p * (1 - _NEAR) for weight in known)
        self.low = min(self.low, max(1, surely))
        if perhaps < self._n_known:
            self.high = min(self.high, max(1, perhaps))
        elif self._n_known and self._bound < p * (1 - _NEAR):
            self.high = min(self.high, self._n_known)
        self._rest_low = 0.0

    def temperature(self, temperature: float) -> None:
        """Divides the logits."""
        power = 1 / temperature
        if power == 1:
            return
        # Together they weigh at most this: each of the others is at most the bound.
        self._rest_high = self._rest_high * self._bound ** (power - 1) if power > 1 else INF
        self._rest_low = 0.0
        self._bound **= power
        self._weights = [weight**power for weight in self._weights]
        self._sum()

    def _sum(self) -> None:
        self._sums = [0.0, *accumulate(self._weights)]

    def _bounded(self, rest: float, n: float) -> float:
        return min(rest, (n - self._n_known) * self._bound) if self._bound > 0 else 0.0

    def _total(self, n: float, rest: float) -> float:
        if n <= self._n_known:
            return self._sums[int(n)]
        return self._sums[self._n_known] + self._bounded(rest, n)

    def _reaching(self, total: float) -> float:
        """Returns how many of the most likely ones weigh that much together; INF where the known ones do not."""
        n = bisect_left(self._sums, total, 0, self._n_known + 1)
        return max(1, n) if n <= self._n_known else INF


@dataclass(frozen=True)
class Candidate:
    """One of the tokens that could have come next."""

    token: TopToken
    chosen: bool
    rank: int


def candidates_of(token: TokenTrace | None, limit: int) -> tuple[Candidate, ...]:
    """The `limit` likeliest in a token's place, best first; a chosen one not among them takes the last place."""
    if token is None or limit < 1:
        return ()
    rows = [Candidate(top, top.id == token.id, rank) for rank, top in enumerate(token.top[:limit], 1)]
    if not any(row.chosen for row in rows):
        chosen = Candidate(TopToken(token.id, token.text, token.p), True, token.rank)
        rows = [*rows[: limit - 1], chosen]
    return tuple(rows)
