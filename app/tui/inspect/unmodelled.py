"""Which stages a chain has, by its parameters, and which of them cannot be computed from a trace. Pure."""

from __future__ import annotations

from app.domain.sampling import SamplingParams, Stage

MODELLED: frozenset[str] = frozenset({"top-k", "top-p", "min-p", "temperature"})
LOWERING: frozenset[str] = frozenset({"penalties", "dry"})
"""Stages that take from tokens that came before, by what nobody keeps: the logits themselves."""
_XTC_MOST = 0.5


def stages_on(params: SamplingParams) -> list[str]:
    """Returns the stages that do something and are computed here, in order; the last one selects."""
    if params.temperature <= 0:
        return ["greedy"]
    return [*(stage for stage in params.samplers if stage in MODELLED and _does_something(stage, params)), "dist"]


def lowering(params: SamplingParams) -> list[str]:
    """Returns the penalties that do something."""
    if params.mirostat and params.temperature > 0:
        return []
    return [stage for stage in params.samplers if stage in LOWERING and _does_something(stage, params)]


def unmodelled(params: SamplingParams) -> list[str]:
    """Returns what else decides: stages that need more than the most likely candidates, or a state of their own."""
    names: list[str] = ["logit-bias"] if params.logit_bias or params.ban else []
    if params.grammar or params.json_schema:
        names.append("the grammar")
    if params.temperature <= 0:
        return names
    if params.mirostat:
        return [*names, "mirostat"]
    known = MODELLED | LOWERING
    names += [stage for stage in params.samplers if stage not in known and _does_something(stage, params)]
    if params.dynatemp_range > 0 and "temperature" in params.samplers:
        names.append("dynamic temperature")
    if params.adaptive_target >= 0:
        names.append("adaptive-p")
    return names


def _does_something(stage: Stage, params: SamplingParams) -> bool:
    penalties = (params.repeat_penalty, params.frequency_penalty, params.presence_penalty)
    return {
        "logit-bias": False,  # counted by its parameters
        "penalties": penalties != (1.0, 0.0, 0.0) and params.penalty_last_n != 0,
        "dry": params.dry_multiplier > 0 and params.dry_penalty_last_n != 0,
        "top-n-sigma": params.top_n_sigma > 0,
        "top-k": params.top_k > 0,
        "typical": params.typical_p < 1,
        "top-p": params.top_p < 1,
        "min-p": params.min_p > 0,
        "xtc": params.xtc_probability > 0 and params.xtc_threshold <= _XTC_MOST,
        "temperature": True,
    }[stage]
