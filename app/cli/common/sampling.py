"""The sampling options, declared once for every command that generates; `takes_sampling` gives them to one.

Knows their names, kinds and limits, and turns texts and files into the values of `SamplingParams`' fields; imports no
msgspec, so that `--help` stays fast. A test compares the two lists.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from app.cli.common.inputs import read_grammar, read_schema
from app.domain.errors import UsageError

_LIMITS, _SETS, _REPEATS, _SHAPES = "Length and form", "Sampling", "Repetition", "Sampling, further"
_FORM = "Grammar (one of them)"
_FORMS = {"json_schema": "--schema", "json_mode": "--json-mode", "regex": "--regex", "grammar": "--grammar"}
"""Options of which one answer can have one."""


def _option(
    text: str, panel: str, *names: str, metavar: str = "X", min: float | None = None, max: float | None = None
) -> Any:  # noqa: ANN401 -- what typer.Option returns
    return typer.Option(*names, help=text, rich_help_panel=panel, metavar=metavar, min=min, max=max, show_default=False)


class _Options:
    """The fields of `SamplingParams` in the order of the help text; None is what was not given."""

    temperature: Annotated[float | None, _option("Temperature; 0 is greedy.", _SETS, min=0.0, max=100.0)]
    top_k: Annotated[int | None, _option("Keep the k most likely tokens; 0 keeps all.", _SETS, min=0)]
    top_p: Annotated[
        float | None, _option("Nucleus sampling: share of probability to keep; 1 is off.", _SETS, min=0.0, max=1.0)
    ]
    min_p: Annotated[
        float | None, _option("Drop tokens below this share of the best probability.", _SETS, min=0.0, max=1.0)
    ]
    seed: Annotated[int | None, _option("Seed of the random numbers.", _SETS, min=0, max=4294967294)]

    max_tokens: Annotated[int | None, _option("Maximum length of the answer, in tokens.", _LIMITS, min=1)]
    stop: Annotated[
        list[str] | None,
        _option(
            "Stop string: text that ends the answer. Repeatable.",
            _LIMITS,
            metavar="TEXT",
        ),
    ]
    json_schema: Annotated[
        Path | None, _option("Constrain the answer to a JSON Schema.", _FORM, "--schema", metavar="FILE")
    ]
    schema_lenient: Annotated[
        bool | None,
        _option("Ignore unsupported schema keywords, with a notice.", _FORM, "--schema-lenient"),
    ]
    json_mode: Annotated[bool | None, _option("Constrain the answer to a JSON object.", _FORM, "--json-mode")]
    regex: Annotated[
        str | None, _option("Constrain the whole answer to a regular expression.", _FORM, metavar="PATTERN")
    ]
    grammar: Annotated[
        Path | None,
        _option("Constrain the answer to a grammar: GBNF, or Lark if FILE ends in .lark.", _FORM, metavar="FILE"),
    ]
    ban: Annotated[
        list[str] | None,
        _option("Ban a token: its text, a control token's name, or #ID. Repeatable.", _LIMITS, metavar="TOKEN"),
    ]
    ban_text: Annotated[
        list[str] | None,
        _option("Ban a text, however it is cut into tokens. Repeatable.", _LIMITS, metavar="TEXT"),
    ]
    force: Annotated[
        list[str] | None,
        _option(
            "Start of the answer: a text, a control token's name, or #ID. Repeatable.",
            _LIMITS,
            metavar="TOKEN",
        ),
    ]
    logit_bias: Annotated[
        list[str] | None,
        _option("Add VALUE to a token's logit. Repeatable.", _LIMITS, "--bias", metavar="TOKEN=VALUE"),
    ]

    thinking: Annotated[
        list[str] | None,
        _option(
            "Sampling value inside thinking blocks, e.g. temperature=1.2. Repeatable.",
            _LIMITS,
            metavar="FIELD=VALUE",
        ),
    ]
    lora: Annotated[
        list[str] | None,
        _option(
            "Apply this LoRA adapter of the model, and no other. SCALE is 1 by default. Repeatable.",
            _LIMITS,
            metavar="NAME[=SCALE]",
        ),
    ]

    repeat_penalty: Annotated[
        float | None, _option("Penalty on repeated tokens; 1 is off.", _REPEATS, min=0.0, max=10.0)
    ]
    frequency_penalty: Annotated[
        float | None, _option("Penalty per occurrence of a token; 0 is off.", _REPEATS, min=-10.0, max=10.0)
    ]
    presence_penalty: Annotated[
        float | None, _option("Penalty on tokens that occurred; 0 is off.", _REPEATS, min=-10.0, max=10.0)
    ]
    penalty_last_n: Annotated[
        int | None, _option("Number of last tokens that penalties consider; -1 is all.", _REPEATS, min=-1)
    ]
    dry_multiplier: Annotated[
        float | None, _option("Strength of DRY (repetition penalty by sequence); 0 is off.", _REPEATS, min=0.0)
    ]
    dry_base: Annotated[float | None, _option("Growth of the DRY penalty for each repeated token.", _REPEATS, min=1.0)]
    dry_allowed_length: Annotated[
        int | None, _option("Longest repetition that DRY leaves alone, in tokens.", _REPEATS, min=1)
    ]
    dry_penalty_last_n: Annotated[
        int | None, _option("Number of last tokens that DRY considers; -1 is all.", _REPEATS, min=-1)
    ]
    dry_sequence_breakers: Annotated[
        list[str] | None,
        _option("Sequence breaker for DRY. Repeatable.", _REPEATS, "--dry-breaker", metavar="TEXT"),
    ]

    typical_p: Annotated[float | None, _option("Locally typical sampling; 1 is off.", _SHAPES, min=0.0, max=1.0)]
    top_n_sigma: Annotated[
        float | None, _option("Keep logits within N standard deviations of the best; 0 is off.", _SHAPES)
    ]
    xtc_probability: Annotated[float | None, _option("Probability that XTC acts; 0 is off.", _SHAPES, min=0.0, max=1.0)]
    xtc_threshold: Annotated[
        float | None, _option("XTC removes tokens above this probability, except the last.", _SHAPES, min=0.0, max=1.0)
    ]
    dynatemp_range: Annotated[
        float | None, _option("Range of dynamic temperature by entropy; 0 is off.", _SHAPES, min=0.0)
    ]
    dynatemp_exponent: Annotated[float | None, _option("Exponent of dynamic temperature.", _SHAPES, min=0.0)]
    adaptive_target: Annotated[
        float | None, _option("Target probability of adaptive-p; negative is off.", _SHAPES, min=-1.0, max=1.0)
    ]
    adaptive_decay: Annotated[float | None, _option("Decay of adaptive-p's running mean.", _SHAPES, min=0.0, max=0.99)]
    mirostat: Annotated[int | None, _option("Mirostat 1 or 2; 0 is off.", _SHAPES, min=0, max=2)]
    mirostat_tau: Annotated[float | None, _option("Target surprise of Mirostat, in bits.", _SHAPES, min=0.0)]
    mirostat_eta: Annotated[float | None, _option("Learning rate of Mirostat.", _SHAPES, min=0.0)]
    samplers: Annotated[
        str | None,
        _option(
            "Sampler stages to run, in order, e.g. top-k,temperature.",
            _SHAPES,
            metavar="STAGES",
        ),
    ]
    exact: Annotated[
        bool | None,
        _option("Compute alone, uncached, in fixed steps: same seed, same text.", _SHAPES, "--exact/--no-exact"),
    ]


def takes_sampling(command: Callable[..., int]) -> Callable[..., int]:
    """Gives a command the options above; those that were given reach it as `sampling`, by field of SamplingParams."""
    signature = inspect.signature(command, eval_str=True)
    own = [parameter for parameter in signature.parameters.values() if parameter.name != "sampling"]
    kinds = get_type_hints(_Options, include_extras=True)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in kinds.items()
    ]

    @wraps(command)
    def run(**given: Any) -> int:  # noqa: ANN401 -- whatever the options are
        sampling = {name: value for name in kinds if (value := given.pop(name)) not in (None, [], ())}
        return command(**given, sampling=_read(sampling))

    vars(run)["__signature__"] = signature.replace(parameters=[*own, *added])
    return run


def _read(given: dict[str, Any]) -> dict[str, object]:
    """Turns what typer gives into values of the fields. Raises UsageError."""
    forms = [option for name, option in _FORMS.items() if given.get(name)]
    if len(forms) > 1:
        raise UsageError(f"{forms[0]} and {forms[1]} exclude each other", hint="an answer has one form")
    if given.pop("json_mode", False):
        return _read(given) | {"json_schema": '{"type": "object"}'}
    if (path := given.get("grammar")) and path.suffix.lower() == ".lark":
        return _read({name: value for name, value in given.items() if name != "grammar"}) | {"lark": read_grammar(path)}
    readers: dict[str, Callable[[Any], object]] = {
        "grammar": read_grammar,
        "json_schema": read_schema,
        "logit_bias": _biases,
        "lora": _scales,
        "thinking": _fields,
        "samplers": _stages,
    }
    for name in ("stop", "ban", "ban_text", "force", "dry_sequence_breakers"):
        readers[name] = tuple
    return {name: readers.get(name, lambda value: value)(value) for name, value in given.items()}


def _stages(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _biases(texts: Sequence[str]) -> dict[str, float]:
    biases: dict[str, float] = {}
    for text in texts:
        token, equals, value = text.rpartition("=")
        try:
            bias = float(value)
        except ValueError:
            bias = float("nan")
        if not equals or not token or not abs(bias) < float("inf"):
            raise UsageError(
                f"--bias {text!r} is not TOKEN=VALUE", hint='as in --bias "rain=2.5"; --ban never lets it come'
            )
        biases[token] = bias
    return biases


def _scales(texts: Sequence[str]) -> dict[str, float]:
    scales: dict[str, float] = {}
    for text in texts:
        name, _, value = text.rpartition("=") if "=" in text else (text, "", "1")
        try:
            scales[name] = float(value)
        except ValueError:
            scales[name] = float("nan")
        if not name or not abs(scales[name]) < float("inf"):
            raise UsageError(f"--lora {text!r} is not NAME=SCALE", hint="as in --lora pirate=0.5")
    return scales


def _fields(texts: Sequence[str]) -> dict[str, object]:
    fields: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--thinking {text!r} is not FIELD=VALUE", hint="as in --thinking temperature=1.2")
        try:
            fields[name] = json.loads(value)
        except ValueError:
            fields[name] = value
    return fields
