"""Which stages a chain has, by its parameters, and which of them cannot be computed from a trace. Pure."""

from __future__ import annotations

from app.domain.sampling import SamplingParams, does_something, is_constrained

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
