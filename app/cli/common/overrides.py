"""Puts sampling values, from the command line or from a line of a batch, in place of a preset's own."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from app.config.problems import nearest
from app.domain.errors import UsageError
from app.domain.sampling import CANONICAL, CONSTRAINTS, SamplingParams, thinking_params
from app.domain.text import one_line

_INVALID = re.compile(r"Invalid enum value '(.+?)'")
_PLACE = re.compile(r"^(.*) - at `(?:key in )?\$\.(\w+)(.*)`$")


def with_overrides(sampling: SamplingParams, values: Mapping[str, object]) -> SamplingParams:
    """Returns `sampling` with `values`, by field name, in place of its own. Raises UsageError that names the field."""
    fields = SamplingParams.__struct_fields__
    for name in values:
        if name not in fields:
            close = nearest(name, fields)
            hint = f"did you mean `{close}`?" if close else "`tok presets show balanced` lists all of them"
            raise UsageError(f"unknown sampling field `{one_line(name, 60)}`", hint)
    merged: dict[str, object] = msgspec.structs.asdict(sampling)
    given = [name for name in CONSTRAINTS if values.get(name) is not None]
    if len(given) > 1:
        raise UsageError(f"`{given[0]}` and `{given[1]}` exclude each other", hint="give only one of them")
    merged |= dict.fromkeys(CONSTRAINTS) if given else {}
    merged |= values
    try:
        changed = msgspec.convert(merged, SamplingParams)
        thinking_params(changed)
    except msgspec.ValidationError as error:
        raise _explained(str(error)) from error
    return changed


def _explained(message: str) -> UsageError:
    place = _PLACE.match(message)
    what, field, inside = place.groups() if place else (message, "", "")
    hint = ""
    if field == "samplers":
        unknown = _INVALID.match(what)
        close = nearest(unknown[1], CANONICAL) if unknown else ""
        hint = f"{f'did you mean `{close}`? ' if close else ''}the stages are {', '.join(CANONICAL)}"
    where = f"`{field}` is wrong{' inside' if inside else ''}: " if field else ""
    return UsageError(f"{where}{what[:1].lower()}{what[1:]}", hint)
