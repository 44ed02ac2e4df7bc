"""Learns the cost of a decode by its number of rows.

Compares each batch with recent single rows, so that the changing speed of a busy machine mostly cancels out.
"""

from __future__ import annotations

PRIOR_SLOPE = 0.45
"""Default cost of each further row, in single rows, before a prefill was measured (two CPU cores)."""
_DRAFT_ROW = 1.5
"""Cost of a row with logits in a small batch, in rows of a prefill (measured: 1.3 to 1.6)."""
_DOWN, _UP, _OUTLIER = 0.3, 0.1, 1.5
_FADE = 0.005
"""Rate at which measured costs of unused sizes move towards their estimate with each decode; otherwise a size that was
measured at a bad moment would never be tried again."""


class CostCurve:
    """The cost curve of one context."""

    def __init__(self) -> None:
        self.single_ms = 0.0
        """Duration of a decode of one row; 0 until measured."""
        self._relative = {1: 1.0}
        """Cost by number of rows, in single-row decodes."""
        self._prefill: tuple[int, float] | None = None

    def measured(self, n_rows: int, ms: float) -> None:
        """Records the duration of a decode of `n_rows` rows; several rows count once a single row was measured."""
        if n_rows == 1:
            self.single_ms = typical(self.single_ms, ms)
        elif self.single_ms:
            self._relative[n_rows] = typical(self._relative.get(n_rows, 0.0), ms / self.single_ms)
        slope = self._slope()
        for other, cost in self._relative.items():
            if other not in (1, n_rows):
                self._relative[other] = cost + _FADE * (1 + slope * (other - 1) - cost)

    def prefilled(self, n_rows: int, ms: float) -> None:
        """Records the duration of a prefill, for an estimate before batches of drafts are measured."""
        if self._prefill is None or ms / n_rows < self._prefill[1] / self._prefill[0]:
            self._prefill = n_rows, ms

    def relative(self, n_rows: float) -> float:
        """Returns the cost in single-row decodes: interpolated between measured sizes, above them by `_slope`."""
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
        """Cost of one more row, in single-row decodes, estimated from prefill rows, which have no logits."""
        if self._prefill is None or not self.single_ms:
            return PRIOR_SLOPE
        n_rows, ms = self._prefill
        return max(0.0, _DRAFT_ROW * (ms / self.single_ms - 1) / (n_rows - 1))


def typical(before: float, value: float) -> float:
    """Updates a cost with a measurement; `before` is 0 for the first one.

    Short measurements weigh more, because other programs can only make them longer.
    """
    if not before:
        return value
    return before + (_DOWN if value < before else _UP) * (min(value, _OUTLIER * before) - before)
