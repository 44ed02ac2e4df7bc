"""What the commands share about configuration files that have mistakes, and how values are written as TOML."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import cast

import msgspec
from msgspec import Struct

from app.cli import console
from app.config.problems import Problem, render


def warn_of(problems: Sequence[Problem]) -> None:
    """Tells every problem on standard error; the caller goes on with the good parts."""
    if problems:
        console.talk(render(problems))
        console.talk("hint: `tok config edit` opens the file; the good parts of it are used meanwhile")


def spelt_out(values: Struct) -> dict[str, object]:
    """Returns every field of a struct, defaults included, as plain values."""
    return {name: msgspec.to_builtins(value) for name, value in msgspec.structs.asdict(values).items()}


def toml_lines(values: Mapping[str, object]) -> list[str]:
    """Returns `key = value` lines; None becomes a comment, because TOML has no word for it."""
    return [f"# {key} is not set" if value is None else f"{key} = {_toml(value)}" for key, value in values.items()]


def _toml(value: object) -> str:
    if isinstance(value, list | tuple):
        items = cast("Sequence[object]", value)
        return f"[{', '.join(map(_toml, items))}]"
    if isinstance(value, dict):
        table = cast("Mapping[str, object]", value)
        return f"{{{', '.join(f'{json.dumps(key)} = {_toml(item)}' for key, item in table.items())}}}"
    # A JSON string is a TOML basic string, and so are numbers and booleans.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
