"""What each sampling parameter is: limits, help, and how it is set. `SamplingParams` has the types and defaults.

From these rows come the limits of `SamplingParams`, the options of the command line, the inspector's knobs, the starter
text of `config.toml` and the table of the manual. Imports nothing heavy: `--help` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_INT = 2**31 - 1
N_SEEDS = 2**32 - 1
"""Seeds are 0 to N_SEEDS - 1; in llama.cpp the highest 32-bit number means "choose one"."""


@dataclass(frozen=True)
class Parameter:
    """One field of `SamplingParams`."""

    name: str
    group: str
    """Heading in the help and the manual."""
    help: str
    """With its unit, and the value that switches it off."""
    number: type[int] | type[float] | None = None
    """None for a text, a flag, a list or a table."""
    least: float | None = None
    most: float | None = None
    above: float | None = None
    """A lower limit that is itself not allowed."""
    steps: tuple[float, ...] = ()
    """Values that the inspector's what-if moves it through, strict to loose; empty: it has no knob."""
    off: float | None = None
    """The value that switches its stage off, if it has a knob."""


def _twentieths(first: int, last: int) -> tuple[float, ...]:
    return tuple(round(n * 0.05, 2) for n in range(first, last + 1))


_SETS, _LIMITS, _REPEATS, _SHAPES = "Sampling", "Length and form", "Repetition", "Sampling, further"
_FORMS = "Grammar (one of them)"

PARAMETERS: dict[str, Parameter] = {
    parameter.name: parameter
    for parameter in (
        Parameter(
            "temperature",
            _SETS,
            "Temperature; 0 is greedy.",
            float,
            least=0.0,
            most=100.0,
            steps=(*_twentieths(0, 40), 2.5, 3.0, 5.0),
        ),
        Parameter(
            "top_k",
            _SETS,
            "Keep the k most likely tokens; 0 keeps all.",
            int,
            least=0,
            steps=(*range(1, 21), 25, 30, 40, 50, 75, 100, 0),
            off=0,
        ),
        Parameter(
            "top_p",
            _SETS,
            "Nucleus sampling: share of probability to keep; 1 is off.",
            float,
            least=0.0,
            most=1.0,
            steps=(*_twentieths(1, 19), 0.98, 0.99, 1.0),
            off=1,
        ),
        Parameter(
            "min_p",
            _SETS,
            "Drop tokens below this share of the best probability.",
            float,
            least=0.0,
            most=1.0,
            steps=(0, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0),
            off=0,
        ),
        Parameter("seed", _SETS, "Seed of the random numbers.", int, least=0, most=N_SEEDS - 1),
        Parameter("max_tokens", _LIMITS, "Maximum length of the answer, in tokens.", int, least=1),
        Parameter("stop", _LIMITS, "Stop string: text that ends the answer. Repeatable."),
        Parameter("json_schema", _FORMS, "Constrain the answer to a JSON Schema."),
        Parameter("schema_lenient", _FORMS, "Ignore unsupported schema keywords, with a notice."),
        Parameter("regex", _FORMS, "Constrain the whole answer to a regular expression."),
        Parameter("grammar", _FORMS, "Constrain the answer to a grammar: GBNF, or Lark if FILE ends in .lark."),
        Parameter("lark", _FORMS, "Constrain the answer to a grammar in llguidance's Lark."),
        Parameter("ban", _LIMITS, "Ban a token: its text, a control token's name, or #ID. Repeatable."),
        Parameter("ban_text", _LIMITS, "Ban a text, however it is cut into tokens. Repeatable."),
        Parameter("force", _LIMITS, "Start of the answer: a text, a control token's name, or #ID. Repeatable."),
        Parameter("logit_bias", _LIMITS, "Add VALUE to a token's logit. Repeatable."),
        Parameter("thinking", _LIMITS, "Sampling value inside thinking blocks, e.g. temperature=1.2. Repeatable."),
        Parameter(
            "lora", _LIMITS, "Apply this LoRA adapter of the model, and no other. SCALE is 1 by default. Repeatable."
        ),
        Parameter("repeat_penalty", _REPEATS, "Penalty on repeated tokens; 1 is off.", float, most=10.0, above=0.0),
        Parameter(
            "frequency_penalty", _REPEATS, "Penalty per occurrence of a token; 0 is off.", float, least=-10.0, most=10.0
        ),
        Parameter(
            "presence_penalty", _REPEATS, "Penalty on tokens that occurred; 0 is off.", float, least=-10.0, most=10.0
        ),
        Parameter(
            "penalty_last_n", _REPEATS, "Number of last tokens that penalties consider; -1 is all.", int, least=-1
        ),
        Parameter(
            "dry_multiplier", _REPEATS, "Strength of DRY (repetition penalty by sequence); 0 is off.", float, least=0.0
        ),
        Parameter("dry_base", _REPEATS, "Growth of the DRY penalty for each repeated token.", float, least=1.0),
        Parameter("dry_allowed_length", _REPEATS, "Longest repetition that DRY leaves alone, in tokens.", int, least=1),
        Parameter(
            "dry_penalty_last_n", _REPEATS, "Number of last tokens that DRY considers; -1 is all.", int, least=-1
        ),
        Parameter("dry_sequence_breakers", _REPEATS, "Sequence breaker for DRY. Repeatable."),
        Parameter("typical_p", _SHAPES, "Locally typical sampling; 1 is off.", float, least=0.0, most=1.0),
        Parameter("top_n_sigma", _SHAPES, "Keep logits within N standard deviations of the best; 0 is off.", float),
        Parameter("xtc_probability", _SHAPES, "Probability that XTC acts; 0 is off.", float, least=0.0, most=1.0),
        Parameter(
            "xtc_threshold",
            _SHAPES,
            "XTC removes tokens above this probability, except the last.",
            float,
            least=0.0,
            most=1.0,
        ),
        Parameter("dynatemp_range", _SHAPES, "Range of dynamic temperature by entropy; 0 is off.", float, least=0.0),
        Parameter("dynatemp_exponent", _SHAPES, "Exponent of dynamic temperature.", float, least=0.0),
        Parameter(
            "adaptive_target",
            _SHAPES,
            "Target probability of adaptive-p; negative is off.",
            float,
            least=-1.0,
            most=1.0,
        ),
        Parameter("adaptive_decay", _SHAPES, "Decay of adaptive-p's running mean.", float, least=0.0, most=0.99),
        Parameter("mirostat", _SHAPES, "Mirostat 1 or 2; 0 is off.", int, least=0, most=2),
        Parameter("mirostat_tau", _SHAPES, "Target surprise of Mirostat, in bits.", float, least=0.0),
        Parameter("mirostat_eta", _SHAPES, "Learning rate of Mirostat.", float, least=0.0),
        Parameter("samplers", _SHAPES, "Sampler stages to run, in order, e.g. top-k,temperature."),
        Parameter("exact", _SHAPES, "Compute alone, uncached, in fixed steps: same seed, same text."),
    )
}
"""By name, in the order of the help."""
