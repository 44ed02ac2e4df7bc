"""The sampler chain on the stored candidates of one token: as it was recorded, or computed again with other parameters.

`exact` is said only where it is proven: no candidate that is not stored can survive, the draw that follows from the
seed gives the token that came, and stages that were recorded come out the same. Everything else is `approximate`, with
the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from app.analysis.survivors import INF, Survivors
from app.analysis.what_if import NEAR, Basis, Step, basis, recorded_step, stages_on, unmodelled
from app.domain.sampling import SamplingParams
from app.domain.trace import Origin, TokenTrace

_SAME = 1e-4
_EDGE = 1e-5
_SORTING = frozenset({"top-k", "top-p"})


class Truth(StrEnum):
    """How far the figures can be trusted."""

    RECORDED = "recorded"
    EXACT = "exact"
    APPROXIMATE = "approximate"


class Chain(NamedTuple):
    """A chain that ran, or would have."""

    steps: tuple[Step, ...]
    truth: Truth
    why: str
    """Why it is approximate."""
    order: tuple[int, ...]
    """The surviving stored candidates as the draw has them, from 0 to 1."""
    u: float | None
    """The random number; None where it is not known or there was no draw."""
    pick: int | None
    """Which candidate comes out; None where that is not known."""

    @property
    def p(self) -> tuple[float, ...]:
        """The final probabilities of the stored candidates."""
        return self.steps[-1].p

    def cut_by(self, candidate: int) -> str:
        """Returns the stage that cut a stored candidate; empty where none did."""
        return next((step.name for step in self.steps if not step.p[candidate]), "")


def recorded(token: TokenTrace) -> Chain | None:
    """Returns the chain as the engine reported it; None where it did not."""
    if not token.stages or not token.top:
        return None
    steps = tuple(recorded_step(stage) for stage in token.stages)
    best = sorted(range(len(token.top)), key=lambda i: -steps[-1].p[i])
    order = _order(token, best, [step.name for step in steps], steps[-1].p)
    chosen = next((i for i, candidate in enumerate(token.top) if candidate.id == token.id), None)
    return Chain(steps, Truth.RECORDED, "", order, token.draw.u if token.draw else None, chosen)


def computed(
    token: TokenTrace, before: SamplingParams, after: SamplingParams, ids: Sequence[int] = (), u: float | None = None
) -> Chain | None:
    """Returns what the chain does with `after`, where it ran with `before`; None without stored candidates.

    Args:
        token: what was sampled.
        before, after: the parameters that it ran with, and those to compute with.
        ids: all tokens before this one, those of the prompt included; empty if they are not known.
        u: the random number of its draw by the seed; None if it is not known. A recorded one comes first.
    """
    u = token.draw.u if token.draw is not None else u
    if not token.top or token.top[0].p <= 0:
        return None
    start = basis(token, before, ids)
    chain, survivors = _run(token, start, after, u)
    why = _doubt(token, start, before, after, survivors, u)
    if not why and _at_an_edge(chain):
        why = "the draw falls on the boundary between two tokens"
    return chain._replace(truth=Truth.APPROXIMATE, why=why) if why else chain


def intervals(order: Sequence[int], p: Sequence[float]) -> list[tuple[int, float, float]]:
    """Returns where each candidate begins and ends between 0 and 1."""
    found: list[tuple[int, float, float]] = []
    low = 0.0
    for i in order:
        found.append((i, low, low + p[i]))
        low += p[i]
    return found


def _run(token: TokenTrace, start: Basis, params: SamplingParams, u: float | None) -> tuple[Chain, Survivors]:
    survivors = Survivors(start.p, start.n_known, start.bound, start.rest)
    steps = list(start.steps)
    names = stages_on(params)
    for name in names:
        n_in = (survivors.low, survivors.high)
        match name:
            case "top-k":
                survivors.top_k(params.top_k)
            case "top-p":
                survivors.top_p(params.top_p)
            case "min-p":
                survivors.min_p(params.min_p)
            case "temperature":
                survivors.temperature(params.temperature)
            case _:
                pass
        place = dict(zip(start.order, survivors.p(), strict=True))
        p = tuple(place[i] for i in range(len(token.top)))
        steps.append(Step(name, n_in, (survivors.low, survivors.high), p))
    if names[-1] == "greedy":
        best = start.order[0]
        return Chain(tuple(steps), Truth.EXACT, "", (best,), None, best), survivors
    order = _order(token, start.order, names, steps[-1].p)
    pick = next((i for i, _, high in intervals(order, steps[-1].p) if u < high), None) if u is not None else None
    return Chain(tuple(steps), Truth.EXACT, "", order, u, pick), survivors


def _order(token: TokenTrace, best: Sequence[int], names: Sequence[str], p: Sequence[float]) -> tuple[int, ...]:
    # A stage that sorts leaves the most likely first; without one they stay as they are in the vocabulary.
    order = best if _SORTING.intersection(names) else sorted(best, key=lambda i: token.top[i].id)
    return tuple(i for i in order if p[i] > 0)


def _doubt(
    token: TokenTrace,
    start: Basis,
    before: SamplingParams,
    after: SamplingParams,
    survivors: Survivors,
    u: float | None,
) -> str:
    """Returns why a computed chain may differ from the real one; empty where it cannot."""
    names = dict.fromkeys([*unmodelled(before), *unmodelled(after)])
    doubts = (
        (token.origin is Origin.FORCED, "this token was forced"),
        (token.origin is Origin.GRAMMAR, "the grammar excluded the most likely token"),
        (bool(names), f"not computed here: {', '.join(names)}"),
        (bool(start.doubt), start.doubt),
        (not _is_known(start, survivors, after), f"only {len(token.top)} tokens are stored; others may survive"),
        (_has_equals(start, survivors, after), "two tokens are equally likely"),
        (bool(token.stages) and not _reproduces(token, start, before), "the recorded stages give another result"),
        (not token.stages and not _comes_out(token, start, before, u), "its own chain gives another result"),
    )
    return next((why for holds, why in doubts if holds), "")


def _is_known(start: Basis, survivors: Survivors, params: SamplingParams) -> bool:
    return start.n_known > 0 if params.temperature <= 0 else survivors.are_known


def _has_equals(start: Basis, survivors: Survivors, params: SamplingParams) -> bool:
    n = 1 if params.temperature <= 0 else min(survivors.low, len(start.p))
    return any(a <= b * (1 + NEAR) for a, b in pairwise(start.p[: int(n) + 1]))


def _reproduces(token: TokenTrace, start: Basis, params: SamplingParams) -> bool:
    """Whether the chain computed from the stored candidates is the one that was recorded."""
    chain, _ = _run(token, start, params, token.draw.u if token.draw is not None else None)
    if [step.name for step in chain.steps] != [stage.name for stage in token.stages]:
        return False
    for step, stage in zip(chain.steps, token.stages, strict=True):
        low, high = step.n_out
        if low != INF and not low <= stage.n_out <= high:
            return False
        known = low == high <= start.n_known
        if known and any(abs(mine - its) > _SAME for mine, its in zip(step.p, stage.p, strict=True)):
            return False
    return chain.pick is None or token.top[chain.pick].id == token.id


def _comes_out(token: TokenTrace, start: Basis, params: SamplingParams, u: float | None) -> bool:
    """Whether the chain computed from the stored candidates gives the token that came, as far as that is known."""
    chain, _ = _run(token, start, params, u)
    return chain.pick is None or token.top[chain.pick].id == token.id


def _at_an_edge(chain: Chain) -> bool:
    if chain.u is None:
        return False
    edges = (edge for _, low, high in intervals(chain.order, chain.p) for edge in (low, high))
    return any(0 < edge < 1 - _EDGE and abs(edge - chain.u) < _EDGE for edge in edges)
