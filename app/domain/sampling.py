"""How the next token is chosen: parameters of the sampler chain, limits of a reply, presets."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from msgspec import Meta, Struct, ValidationError, convert, structs

from app.domain.generation import ContextPolicy
from app.domain.parameters import MAX_INT, PARAMETERS

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

_XTC_MOST = 0.5
"""The highest useful XTC threshold: two tokens cannot both be above it."""


def _limits(name: str) -> Meta:
    row = PARAMETERS[name]
    most = MAX_INT if row.most is None and row.number is int else row.most
    return Meta(ge=row.least, le=most) if row.above is None else Meta(gt=row.above, le=most)


class SamplingParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Sampling parameters of one request; `PARAMETERS` says what each field does.

    `samplers` gives the order of the stages, not the order of the fields.
    """

    temperature: Annotated[float, _limits("temperature")] = 0.8
    top_k: Annotated[int, _limits("top_k")] = 40
    top_p: Annotated[float, _limits("top_p")] = 0.95
    min_p: Annotated[float, _limits("min_p")] = 0.05
    typical_p: Annotated[float, _limits("typical_p")] = 1.0
    top_n_sigma: Annotated[float, _limits("top_n_sigma")] = -1.0
    xtc_probability: Annotated[float, _limits("xtc_probability")] = 0.0
    """Chance, per token, that XTC removes all but the least likely of the tokens above its threshold; 0 is off."""
    xtc_threshold: Annotated[float, _limits("xtc_threshold")] = 0.1
    repeat_penalty: Annotated[float, _limits("repeat_penalty")] = 1.0
    frequency_penalty: Annotated[float, _limits("frequency_penalty")] = 0.0
    presence_penalty: Annotated[float, _limits("presence_penalty")] = 0.0
    penalty_last_n: Annotated[int, _limits("penalty_last_n")] = 64
    dry_multiplier: Annotated[float, _limits("dry_multiplier")] = 0.0
    dry_base: Annotated[float, _limits("dry_base")] = 1.75
    dry_allowed_length: Annotated[int, _limits("dry_allowed_length")] = 2
    dry_penalty_last_n: Annotated[int, _limits("dry_penalty_last_n")] = -1
    dry_sequence_breakers: tuple[str, ...] = ("\n", ":", '"', "*")
    dynatemp_range: Annotated[float, _limits("dynatemp_range")] = 0.0
    dynatemp_exponent: Annotated[float, _limits("dynatemp_exponent")] = 1.0
    adaptive_target: Annotated[float, _limits("adaptive_target")] = -1.0
    adaptive_decay: Annotated[float, _limits("adaptive_decay")] = 0.9
    mirostat: Literal[0, 1, 2] = 0
    """Mirostat 1 or 2 (Basu et al. 2020) in place of every stage but bias and temperature; 0 is off."""
    mirostat_tau: Annotated[float, _limits("mirostat_tau")] = 5.0
    mirostat_eta: Annotated[float, _limits("mirostat_eta")] = 0.1
    samplers: tuple[Stage, ...] = CANONICAL
    """Order of the stages; a stage left out does not run. Bans and biases always run first."""
    logit_bias: dict[str, float] = {}
    """Values to add to the logits of tokens: `#ID`, a control token's name, or a text (each of its tokens)."""
    ban: tuple[str, ...] = ()
    """Tokens that are never sampled, named as in `logit_bias`; a text of several tokens is banned as in `ban_text`."""
    ban_text: tuple[str, ...] = ()
    """Texts that the reply never contains, however they divide into tokens; case-sensitive."""
    force: tuple[str, ...] = ()
    """Tokens that begin the reply, named as in `logit_bias`; they are forced, not sampled."""
    json_schema: str | None = None
    """JSON Schema (as JSON text) that the reply must follow. At most one of the fields in `CONSTRAINTS` may be set."""
    regex: str | None = None
    lark: str | None = None
    """Grammar in llguidance's Lark that the reply must follow."""
    grammar: str | None = None
    schema_lenient: bool = False
    """Whether unsupported parts of `json_schema` are ignored with a notice instead of an error."""
    exact: bool = False
    """Runs alone in its batch, without cache, in fixed chunks: the same seed gives the same text on the same build."""
    seed: Annotated[int, _limits("seed")] | None = None
    """Seed of the random draw (32 bits); None lets the engine choose one and report it."""
    max_tokens: Annotated[int, _limits("max_tokens")] | None = None
    """Maximum length of the reply in tokens; None is as many as fit in the context."""
    stop: tuple[str, ...] = ()
    """Texts that end the reply; they are not part of it."""
    lora: dict[str, Annotated[float, Meta(ge=-100.0, le=100.0)]] | None = None
    """Scales of the model's LoRA adapters by name, the others off; None keeps the model's own scales."""
    thinking: dict[str, Any] = {}
    """Fields with other values inside a thinking block (see `thinking_params`); empty: one set for the whole reply."""


CONSTRAINTS = ("json_schema", "regex", "lark", "grammar")
"""Fields that constrain the form of a reply; they exclude each other."""

WHOLE_REPLY = frozenset({"seed", "max_tokens", "stop", "force", "exact", "lora", "thinking"})
"""Fields that cannot have another value inside a thinking block."""


def thinking_params(params: SamplingParams) -> SamplingParams | None:
    """The parameters inside thinking blocks: `params` with the changes of `thinking`; None if it is empty.

    The grammar of `params` applies to the answer only; `thinking` may have its own.

    Raises msgspec.ValidationError for an invalid `thinking`.
    """
    if not params.thinking:
        return None
    for name in params.thinking:
        if name in WHOLE_REPLY:
            raise ValidationError(f"`{name}` applies to the whole reply, not to thinking alone")
    values: dict[str, Any] = {name: getattr(params, name) for name in params.__struct_fields__}
    values.update(dict.fromkeys(CONSTRAINTS), thinking={})
    return convert(values | params.thinking, SamplingParams)


def is_constrained(params: SamplingParams) -> bool:
    """Whether a grammar or schema constrains the reply."""
    return any(getattr(params, name) is not None for name in CONSTRAINTS)


def needs_grammar(params: SamplingParams) -> bool:
    """Whether the reply, or the thinking before it, needs a compiled grammar."""
    return is_constrained(params) or any(params.thinking.get(name) is not None for name in CONSTRAINTS)


def without_constraint(params: SamplingParams) -> SamplingParams:
    """The same parameters without a grammar or schema."""
    return structs.replace(params, **dict.fromkeys(CONSTRAINTS))


def does_something(stage: Stage, params: SamplingParams) -> bool:
    """Whether a stage has an effect with the values in `params`."""
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
    """A named set of sampling parameters with a system prompt; `-p NAME` selects it."""

    name: str
    description: str = ""
    system: str | None = None
    """System prompt; None sends none."""
    model: str | None = None
    """Catalogue name of the preset's model; None leaves the choice to the user."""
    sampling: SamplingParams = SamplingParams()
    context: ContextPolicy = "stop"
    """What happens when the conversation outgrows the context window."""
