"""What a what-if begins with: the stored candidates, and the sampler stages that it cannot model."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple

from app.analysis.survivors import INF
from app.domain.sampling import SamplingParams, does_something, is_constrained
from app.domain.trace import StageTrace, TokenTrace

MODELLED: frozenset[str] = frozenset({"top-k", "top-p", "min-p", "temperature"})
LOWERING: frozenset[str] = frozenset({"penalties", "dry"})
"""Stages that take from tokens that came before, by what nobody keeps: the logits themselves."""


def stages_on(params: SamplingParams) -> list[str]:
    """Returns the stages that do something and are computed here, in order; the last one selects."""
    if params.temperature <= 0:
        return ["greedy"]
    return [*(stage for stage in params.samplers if stage in MODELLED and does_something(stage, params)), "dist"]


def lowering(params: SamplingParams) -> list[str]:
    """Returns the penalties that do something."""
    if params.mirostat:
        return []
    return [stage for stage in params.samplers if stage in LOWERING and does_something(stage, params)]


def unmodelled(params: SamplingParams) -> list[str]:
    """Returns what else decides: stages that need more than the most likely candidates, or a state of their own."""
    names: list[str] = ["logit-bias"] if does_something("logit-bias", params) else []
    if is_constrained(params):
        names.append("the grammar")
    if params.temperature <= 0:
        return names
    if params.mirostat:
        return [*names, "mirostat"]
    known = MODELLED | LOWERING | {"logit-bias"}
    names += [stage for stage in params.samplers if stage not in known and does_something(stage, params)]
    if params.dynatemp_range > 0 and "temperature" in params.samplers:
        names.append("dynamic temperature")
    if params.adaptive_target >= 0:
        names.append("adaptive-p")
    return names


NEAR = 1e-6
"""Probabilities closer than this, relatively, count as equal: a store may keep them in single precision."""


class Step(NamedTuple):
    """What one stage did. Counts are bounds; `INF` is the whole vocabulary."""

    name: str
    n_in: tuple[float, float]
    n_out: tuple[float, float]
    p: tuple[float, ...]
    """Of the stored candidates after the stage; 0 for one that was cut."""


class Basis(NamedTuple):
    """Weights over the whole vocabulary, in proportion to probabilities."""

    order: tuple[int, ...]
    """The stored candidates' indices, best first."""
    p: tuple[float, ...]
    """Their weights, in that order."""
    n_known: int
    """So many of them are certainly the most likely tokens of all."""
    bound: float
    """What any token but those can weigh at most."""
    steps: tuple[Step, ...]
    """The stages that lead here."""
    doubt: str
    """Why this is not certain; empty where it is."""
    rest: tuple[float, float] | None = None
    """What all but the known ones weigh together, at least and at most; None is what is left to 1."""


def basis(token: TokenTrace, params: SamplingParams, ids: Sequence[int]) -> Basis:
    """Returns where the computation begins; `ids`: all tokens before this one, empty if they are not known."""
    names = lowering(params)
    stages = tuple(takewhile(lambda stage: stage.name in LOWERING, token.stages))
    last = token.top[-1].p
    if not names and not stages:
        return _sorted([candidate.p for candidate in token.top], last, (), "")
    if not stages:
        return _penalised(token, params, ids, names)
    p, seen = stages[-1].p, set(ids)
    steps = tuple(recorded_step(stage) for stage in stages)
    growth = [p[i] / each.p for i, each in enumerate(token.top) if each.id not in seen and each.p > 0]
    if doubt := _unknown(params, ids):
        return _sorted(p, last, steps, doubt)
    if not growth:
        return _sorted(p, last, steps, "every stored token may have been penalised")
    return _sorted(p, last * max(growth), steps, "")


def recorded_step(stage: StageTrace) -> Step:
    """Returns a stage as it was recorded."""
    return Step(stage.name, (stage.n_in, stage.n_in), (stage.n_out, stage.n_out), stage.p)


def _penalised(token: TokenTrace, params: SamplingParams, ids: Sequence[int], names: Sequence[str]) -> Basis:
    """Applies the penalties to the stored candidates as llama.cpp's `penalties` stage does to all."""
    raw, last = [candidate.p for candidate in token.top], token.top[-1].p
    if names != ["penalties"] or (params.repeat_penalty != 1 and not token.log_total):
        return _sorted(raw, last, (), f"not computed here: {', '.join(names)}")
    if doubt := _unknown(params, ids):
        return _sorted(raw, last, (), doubt)
    counts = Counter(ids if params.penalty_last_n < 0 else ids[-params.penalty_last_n :])
    p = [_lowered(each.p, token.log_total, counts[each.id], params) for each in token.top]
    # What is not stored may weigh less by its own penalties, and no more.
    most = max(0.0, 1.0 - math.fsum(raw))
    total = math.fsum(p) + most
    step = Step("penalties", (INF, INF), (INF, INF), tuple(value / total for value in p))
    return _sorted(p, last, (step,), "")._replace(rest=(0.0, most))


def _lowered(p: float, log_total: float, count: int, params: SamplingParams) -> float:
    if not count or p <= 0:
        return p
    logit = math.log(p) + log_total
    logit = logit * params.repeat_penalty if logit <= 0 else logit / params.repeat_penalty
    return math.exp(logit - count * params.frequency_penalty - params.presence_penalty - log_total)


def _unknown(params: SamplingParams, ids: Sequence[int]) -> str:
    """Returns why nothing bounds what the penalties do to a token that is not stored; empty where something does."""
    if params.repeat_penalty < 1 or params.frequency_penalty < 0 or params.presence_penalty < 0:
        return "the penalties may raise tokens that are not stored"
    return "" if ids else "the prompt's tokens were not stored, so the penalties are unknown"


def _sorted(p: Sequence[float], bound: float, steps: tuple[Step, ...], doubt: str) -> Basis:
    order = tuple(sorted(range(len(p)), key=lambda i: -p[i]))
    in_order = tuple(p[i] for i in order)
    n_known = sum(value >= bound * (1 - NEAR) for value in in_order)
    return Basis(order, in_order, n_known, bound, steps, doubt)
