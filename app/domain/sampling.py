"""How the next token is chosen: the parameters of the sampler chain, limits of a reply, and presets."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from msgspec import Meta, Struct, ValidationError, convert, structs

from app.domain.generation import ContextPolicy

Stage = Literal[
    "logit-bias",
    "penalties",
    "dry",
    "top-n-sigma",
    "top-k",
    "typical",
    "top-p",
    "min-p",
    "xtc",
    "temperature",
]
CANONICAL: tuple[Stage, ...] = get_args(Stage)
"""llama.cpp's order of the stages (common/common.h); the draw itself (dist, adaptive-p, mirostat) is always last."""

N_SEEDS = 2**32 - 1
"""Seeds are 0 to N_SEEDS - 1; llama.cpp takes the last number of 32 bits for "choose one"."""

_XTC_MOST = 0.5
"""The highest threshold of XTC: no two tokens can be above it."""

Fraction = Annotated[float, Meta(ge=0.0, le=1.0)]
NonNegative = Annotated[float, Meta(ge=0.0)]


class SamplingParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One request's sampling. Stages run in the order of `samplers`, whatever the order of the fields."""

    temperature: Annotated[float, Meta(ge=0.0, le=100.0)] = 0.8
    """Divides the logits; 0 takes the most likely token always (greedy)."""
    top_k: Annotated[int, Meta(ge=0, le=2147483647)] = 40
    """Keeps the k most likely tokens; 0 keeps all."""
    top_p: Fraction = 0.95
    """Keeps the smallest set whose probabilities sum to p (nucleus); 1 is off."""
    min_p: Fraction = 0.05
    """Drops tokens less likely than min_p times the most likely one; 0 is off."""
    typical_p: Fraction = 1.0
    """Locally typical sampling (Meister et al. 2022); 1 is off."""
    top_n_sigma: float = -1.0
    """Keeps tokens within n standard deviations of the largest logit; below or at 0 is off."""
    xtc_probability: Fraction = 0.0
    """Chance, per token, that XTC removes all but the least likely of the tokens above its threshold; 0 is off."""
    xtc_threshold: Fraction = 0.1
    repeat_penalty: Annotated[float, Meta(gt=0.0, le=10.0)] = 1.0
    """Divides the logits of tokens seen in the last `penalty_last_n`; 1 is off."""
    frequency_penalty: Annotated[float, Meta(ge=-10.0, le=10.0)] = 0.0
    presence_penalty: Annotated[float, Meta(ge=-10.0, le=10.0)] = 0.0
    penalty_last_n: Annotated[int, Meta(ge=-1, le=2147483647)] = 64
    """How many tokens the penalties look back on; -1 is the whole context, 0 is off."""
    dry_multiplier: NonNegative = 0.0
    """Strength of the DRY repetition penalty; 0 is off."""
    dry_base: Annotated[float, Meta(ge=1.0)] = 1.75
    dry_allowed_length: Annotated[int, Meta(ge=1, le=2147483647)] = 2
    dry_penalty_last_n: Annotated[int, Meta(ge=-1, le=2147483647)] = -1
    dry_sequence_breakers: tuple[str, ...] = ("\n", ":", '"', "*")
    dynatemp_range: NonNegative = 0.0
    """Dynamic temperature: by entropy, from temperature - range to temperature + range; 0 is off."""
    dynatemp_exponent: NonNegative = 1.0
    adaptive_target: Annotated[float, Meta(ge=-1.0, le=1.0)] = -1.0
    """Adaptive-p draws near this probability in place of the plain draw; negative is off."""
    adaptive_decay: Annotated[float, Meta(ge=0.0, le=0.99)] = 0.9
    mirostat: Literal[0, 1, 2] = 0
    """Mirostat 1 or 2 (Basu et al. 2020) in place of every stage but bias and temperature; 0 is off."""
    mirostat_tau: NonNegative = 5.0
    mirostat_eta: NonNegative = 0.1
    samplers: tuple[Stage, ...] = CANONICAL
    """Order of the stages; one that is left out does not run. Bans and biases are always first, named or not."""
    logit_bias: dict[str, float] = {}
    """Added to the logits of tokens: `#ID`, a control token's name, or a text, each of whose tokens is meant."""
    ban: tuple[str, ...] = ()
    """Tokens that are never sampled, named as in `logit_bias`; a text of several tokens is banned as in `ban_text`."""
    ban_text: tuple[str, ...] = ()
    """Texts that never come in the reply, however they are cut into tokens; capitals matter."""
    force: tuple[str, ...] = ()
    """Tokens that the reply begins with, named as in `logit_bias`; they are put there, not sampled."""
    json_schema: str | None = None
    """JSON Schema, as JSON text, that the reply must follow. At most one of the fields in `CONSTRAINTS` is given."""
    regex: str | None = None
    """Regular expression (ECMA-262) that the whole reply must match."""
    lark: str | None = None
    """Grammar in llguidance's Lark that the reply must follow."""
    grammar: str | None = None
    """Grammar in GBNF that the reply must follow."""
    schema_lenient: bool = False
    """Whether what cannot be held to in `json_schema` has no effect and is noticed, in place of an error."""
    exact: bool = False
    """Alone in its batch, nothing cached, fixed chunks: the same seed gives the same text on the same build."""
    seed: Annotated[int, Meta(ge=0, lt=N_SEEDS)] | None = None
    """Seed of the random draw (32 bits); None lets the engine choose one and report it."""
    max_tokens: Annotated[int, Meta(ge=1, le=2147483647)] | None = None
    """Longest reply in tokens; None is as many as the context holds."""
    stop: tuple[str, ...] = ()
    """Texts that end the reply; they are not part of it."""
    lora: dict[str, Annotated[float, Meta(ge=-100.0, le=100.0)]] | None = None
    """The model's LoRA adapters by name with their scales, the others off; None leaves all at the model's own."""
    thinking: dict[str, Any] = {}
    """Fields that have other values inside a thinking block; see `thinking_params`. Empty: one set for all."""


CONSTRAINTS = ("json_schema", "regex", "lark", "grammar")
"""Fields that say what form a reply has; they exclude each other."""

WHOLE_REPLY = frozenset({"seed", "max_tokens", "stop", "force", "exact", "lora", "thinking"})
"""Fields that cannot have another value inside a thinking block."""


def thinking_params(params: SamplingParams) -> SamplingParams | None:
    """The set inside thinking blocks: `params` with what `thinking` changes; None where there is no second set.

    A grammar is the answer's: inside the block there is none but one that `thinking` has itself.

    Raises msgspec.ValidationError for what `thinking` holds.
    """
    if not params.thinking:
        return None
    for name in params.thinking:
        if name in WHOLE_REPLY:
            raise ValidationError(f"`{name}` holds for the whole reply, not for thinking alone")
    values: dict[str, Any] = {name: getattr(params, name) for name in params.__struct_fields__}
    values.update(dict.fromkeys(CONSTRAINTS), thinking={})
    return convert(values | params.thinking, SamplingParams)


def is_constrained(params: SamplingParams) -> bool:
    """Whether a reply must have some form."""
    return any(getattr(params, name) is not None for name in CONSTRAINTS)


def needs_grammar(params: SamplingParams) -> bool:
    """Whether a grammar has to be compiled for a reply, or for the thinking before it."""
    return is_constrained(params) or any(params.thinking.get(name) is not None for name in CONSTRAINTS)


def without_constraint(params: SamplingParams) -> SamplingParams:
    """The same for a reply of any form."""
    return structs.replace(params, **dict.fromkeys(CONSTRAINTS))


def does_something(stage: Stage, params: SamplingParams) -> bool:
    """Whether a stage that runs has an effect, by the values that it takes from `params`."""
    penalties = (params.repeat_penalty, params.frequency_penalty, params.presence_penalty)
    return {
        "logit-bias": bool(params.logit_bias or params.ban or params.ban_text),
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


class Preset(Struct, frozen=True, kw_only=True):
    """What `-p NAME` selects."""

    name: str
    description: str = ""
    system: str | None = None
    """System prompt; None sends none."""
    model: str | None = None
    """Catalogue name that the preset is meant for; None leaves the choice to the user."""
    sampling: SamplingParams = SamplingParams()
    context: ContextPolicy = "stop"
    """What happens when the conversation outgrows the context window."""
