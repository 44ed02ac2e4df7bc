"""The sampling options of every command that generates, made from `PARAMETERS`; `takes_sampling` gives them to one.

Turns texts and files into the values of `SamplingParams`' fields; imports no msgspec, so that `--help` stays fast.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from app.cli.common.inputs import read_grammar, read_schema
from app.domain.errors import UsageError
from app.domain.parameters import PARAMETERS, Parameter

_FORMS = {"json_schema": "--schema", "json_mode": "--json-mode", "regex": "--regex", "grammar": "--grammar"}
"""Options of which one answer can have one."""


class _Shape(NamedTuple):
    """How the command line takes a parameter that is not a number."""

    kind: Any
    metavar: str | None = None
    flag: str = ""
    """The option, if it is not the field's name."""


_SHAPES = {
    "stop": _Shape(list[str], "TEXT"),
    "json_schema": _Shape(Path, "FILE", "--schema"),
    "schema_lenient": _Shape(bool, flag="--schema-lenient"),
    "json_mode": _Shape(bool, flag="--json-mode"),
    "regex": _Shape(str, "PATTERN"),
    "grammar": _Shape(Path, "FILE"),
    "ban": _Shape(list[str], "TOKEN"),
    "ban_text": _Shape(list[str], "TEXT"),
    "force": _Shape(list[str], "TOKEN"),
    "logit_bias": _Shape(list[str], "TOKEN=VALUE", "--bias"),
    "thinking": _Shape(list[str], "FIELD=VALUE"),
    "lora": _Shape(list[str], "NAME[=SCALE]"),
    "dry_sequence_breakers": _Shape(list[str], "TEXT", "--dry-breaker"),
    "samplers": _Shape(str, "STAGES"),
    "exact": _Shape(bool, flag="--exact/--no-exact"),
}
_JSON_MODE = Parameter("json_mode", PARAMETERS["json_schema"].group, "Constrain the answer to a JSON object.")


def sampling_options() -> dict[str, Any]:
    """Returns the option of each field by name; `--grammar` takes Lark too, and `json_mode` is no field."""
    rows = [row for row in PARAMETERS.values() if row.name != "lark"]
    return {row.name: _option(row) for row in (*rows, _JSON_MODE)}


def _option(row: Parameter) -> Any:  # noqa: ANN401 -- an annotation
    kind, metavar, flag = _Shape(row.number, "X") if row.number else _SHAPES[row.name]
    least = row.above if row.least is None else row.least
    limits: dict[str, Any] = {"min": least, "max": row.most}
    option = typer.Option(
        *filter(None, [flag]), help=row.help, rich_help_panel=row.group, metavar=metavar, show_default=False, **limits
    )
    return Annotated[kind | None, option]


def takes_sampling(command: Callable[..., int]) -> Callable[..., int]:
    """Gives a command the options above; those that were given reach it as `sampling`, by field of SamplingParams."""
    signature = inspect.signature(command, eval_str=True)
    own = [parameter for parameter in signature.parameters.values() if parameter.name != "sampling"]
    kinds = sampling_options()
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
        raise UsageError(f"{forms[0]} and {forms[1]} exclude each other", hint="give only one of them")
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
                f"--bias {text!r} is not TOKEN=VALUE", hint='as in --bias "rain=2.5"; use --ban to exclude a token'
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
