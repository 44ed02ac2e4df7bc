"""What a sampler would draw from: the distribution before and after its chain. Nothing is drawn, nothing remembered."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.trace import StageTrace
from app.engine.core.backend import Logits, Sampler
from app.engine.core.distribution import Distribution


@dataclass(frozen=True, slots=True)
class Prospect:
    """The next token's distribution."""

    entropy: float
    p_end: float
    before: list[tuple[int, float]]
    """(id, probability) before the chain, most likely first."""
    after: list[tuple[int, float]]
    """The same of those that the chain leaves."""
    stages: tuple[StageTrace, ...]


def foresee(distribution: Distribution, sampler: Sampler, logits: Logits, k: int) -> Prospect:
    """The `k` most likely tokens and what the sampler's chain would make of them. Raises ComputeError."""
    best = distribution.best(logits, max(1, k))
    left = sampler.foresee(logits, best[:k], k)
    measured = distribution.measure(logits, best[0], k)
    return Prospect(measured.entropy, measured.p_end, measured.top, left.after, left.stages)
