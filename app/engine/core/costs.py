"""What a decode costs by its number of rows, learnt from those that were made.

A batch is held against the single row of about the same time, so that the speed of the machine, which other programs
change from minute to minute, mostly cancels out.
"""

from __future__ import annotations

PRIOR_SLOPE = 0.45
"""A row beyond the first costs about this share of a single row on two CPU cores, where not even a prefill is known."""
_DRAFT_ROW = 1.5
"""A row of a small batch with logits costs so many of a prefill's rows (measured: 1.3 to 1.6)."""
_DOWN, _UP, _OUTLIER = 0.3, 0.1, 1.5
_FADE = 0.005
"""With each decode, what sizes that are not in use were measured to cost gives way to what they cost elsewhere: else
one that was measured in a bad moment would never be tried again."""


class CostCurve:
    """One for a context."""

    def __init__(self) -> None:
        self.single_ms = 0.0
        """Of a decode of one row; 0 until one was measured."""
        self._relative = {1: 1.0}
        """By rows, in single-row decodes."""
        self._prefill: tuple[int, float] | None = None

    def measured(self, n_rows: int, ms: float) -> None:
        """Tells how long a decode of `n_rows` rows took; of several rows it counts once a single row was measured."""
        if n_rows == 1:
            self.single_ms = typical(self.single_ms, ms)
        elif self.single_ms:
            self._relative[n_rows] = typical(self._relative.get(n_rows, 0.0), ms / self.single_ms)
        slope = self._slope()
        for other, cost in self._relative.items():
            if other not in (1, n_rows):
                self._relative[other] = cost + _FADE * (1 + slope * (other - 1) - cost)

    def prefilled(self, n_rows: int, ms: float) -> None:
        """Tells how long many rows of a prompt took: what a row more costs before batches of drafts are measured."""
        if self._prefill is None or ms / n_rows < self._prefill[1] / self._prefill[0]:
            self._prefill = n_rows, ms

    def relative(self, n_rows: float) -> float:
        """Cost in single-row decodes. Sizes between two that were measured lie on a line; larger ones cost `_slope`."""
        if n_rows == 1 or not self.single_ms:
            return 1.0 + PRIOR_SLOPE * (n_rows - 1)
        below = max(n for n in self._relative if n <= n_rows)
        above = min((n for n in self._relative if n > n_rows), default=0)
        cost = self._relative[below]
        if above:
            cost += (self._relative[above] - cost) * (n_rows - below) / (above - below)
        elif n_rows > below:
            cost += self._slope() * (n_rows - below)
        return max(1.0, cost)

    def _slope(self) -> float:
        """Cost of one more row in single-row decodes, estimated from a prefill, whose rows have no logits."""
        if self._prefill is None or not self.single_ms:
            return PRIOR_SLOPE
        n_rows, ms = self._prefill
        return max(0.0, _DRAFT_ROW * (ms / self.single_ms - 1) / (n_rows - 1))


def typical(before: float, value: float) -> float:
    """A cost with one more measurement; `before` is 0 where there was none.

    Short ones count more: another program on the machine, which makes one many times as long, is no cost of ours.
    """
    if not before:
        return value
    return before + (_DOWN if value < before else _UP) * (min(value, _OUTLIER * before) - before)
