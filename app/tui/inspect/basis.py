"""What a what-if begins with: the stored candidates, best first, after the stages that no knob moves.

Penalties cannot be computed from probabilities; where the stages were recorded, what they left is known. They only
make tokens less likely, and only tokens that came before: a stored candidate that did not tells by how much all the
others, the ones that are not stored included, can have grown.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import takewhile
from typing import NamedTuple

from app.domain.sampling import SamplingParams
from app.domain.trace import StageTrace, TokenTrace
from app.tui.inspect.unmodelled import LOWERING, lowering

NEAR = 1e-6
"""Probabilities closer than this, relatively, count as equal: a store may keep them in single precision."""


class Basis(NamedTuple):
    """Probabilities over the whole vocabulary."""

    order: tuple[int, ...]
    """The stored candidates' indices, best first."""
    p: tuple[float, ...]
    """Theirs, in that order."""
    n_known: int
    """So many of them are certainly the most likely tokens of all."""
    bound: float
    """What any token but those can have at most."""
    stages: tuple[StageTrace, ...]
    """The recorded stages that lead here."""
    doubt: str
    """Why this is not certain; empty where it is."""


def basis(token: TokenTrace, params: SamplingParams, seen: Collection[int]) -> Basis:
    """Returns where the computation begins; `seen`: the ids of all tokens before this one, empty if not known."""
    names = lowering(params)
    stages = tuple(takewhile(lambda stage: stage.name in LOWERING, token.stages))
    last = token.top[-1].p
    if not names and not stages:
        return _sorted([candidate.p for candidate in token.top], last, (), "")
    if not stages:
        raw = [candidate.p for candidate in token.top]
        return _sorted(raw, last, (), f"not computed here: {', '.join(names)}")
    p = stages[-1].p
    raises = params.repeat_penalty < 1 or params.frequency_penalty < 0 or params.presence_penalty < 0
    growth = [p[i] / each.p for i, each in enumerate(token.top) if each.id not in seen and each.p > 0]
    if raises:
        return _sorted(p, last, stages, "the penalties may raise tokens that are not stored")
    if not seen:
        return _sorted(p, last, stages, "the prompt's tokens were not kept, so that the penalties are not known")
    if not growth:
        return _sorted(p, last, stages, "every stored token may have been penalised")
    return _sorted(p, last * max(growth), stages, "")


def _sorted(p: Sequence[float], bound: float, stages: tuple[StageTrace, ...], doubt: str) -> Basis:
    order = tuple(sorted(range(len(p)), key=lambda i: -p[i]))
    in_order = tuple(p[i] for i in order)
    n_known = sum(value >= bound * (1 - NEAR) for value in in_order)
    return Basis(order, in_order, n_known, bound, stages, doubt)
