"""The next token's distribution before and after the sampler chain, without a draw."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.trace import StageTrace
from app.engine.core.backend import Logits, Sampler
from app.engine.core.distribution import Distribution


@dataclass(frozen=True, slots=True)
class NextTokenPreview:
    """The next token's distribution."""

    entropy: float
    p_end: float
    before: list[tuple[int, float]]
    """(id, probability) before the chain, most likely first."""
    after: list[tuple[int, float]]
    """(id, probability) after the chain, most likely first."""
    stages: tuple[StageTrace, ...]
    raised: list[tuple[int, float, int]]
    """(id, probability, rank) before the chain of the tokens in `after` that are not in `before`."""


def preview(distribution: Distribution, sampler: Sampler, logits: Logits, k: int) -> NextTokenPreview:
    """Returns the `k` most likely tokens before and after the sampler chain. Raises ComputeError."""
    best = distribution.best(logits, max(1, k))
    watch = best[:k]
    left = sampler.preview(logits, watch, k)
    raised = [token for token, _ in left.after if token not in watch]
    if raised:
        left = sampler.preview(logits, [*watch, *raised], k)
    measured = distribution.measure(logits, best[0], k)
    ranked = [(token, distribution.p(token), distribution.rank(logits, token)) for token in raised]
    return NextTokenPreview(measured.entropy, measured.p_end, measured.top, left.after, left.stages, ranked)
