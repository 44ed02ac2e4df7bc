"""Turns option texts into values without pydantic.

typer 0.29 validates every parameter through pydantic, whose import takes longer than all of typer and is paid even for
options that nobody gave. The kinds of values that our commands take are converted here; any other is left to typer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_origin

import typer
from typer import core
from typer._coercion import TypeDescriptor  # pyright: ignore[reportPrivateUsage] -- see use_plain_coercion

from app.domain.errors import UsageError
from app.domain.text import safe_text


def use_plain_coercion() -> None:
    """Makes typer convert with this module. typer has no public place for it; the import hygiene test watches it."""
    core.build_runtime_param = _PlainParameter  # pyright: ignore[reportAttributeAccessIssue, reportPrivateImportUsage] -- fits


_NAMES = frozenset({"FILE", "OUT", "IN", "MODEL", "PRESET", "THEME", "ID", "NAME", "SUITE"})
"""What names something: an empty one is a mistake (an unset variable in a script), where an empty text may be meant."""


class _PlainParameter:
    """Stands in for typer's `RuntimeParam`: the conversion of one parameter."""

    def __init__(self, descriptor: TypeDescriptor) -> None:
        annotation = descriptor.annotation
        self._many = get_origin(annotation) is list
        kind: Any = get_args(annotation)[0] if self._many else annotation
        self._convert = _CONVERTERS.get(kind)
        self._descriptor = descriptor

    def coerce(self, value: Any, param: Any, ctx: typer.Context) -> Any:
        """Returns the value of `param`, None or () where it was not given. Raises typer.BadParameter."""
        if value is None:
            return () if self._many else None
        if self._convert is None:
            from typer._coercion import build_runtime_param

            return build_runtime_param(self._descriptor).coerce(value, param, ctx)
        try:
            checked = [self._checked(item) for item in (value if self._many else [value])]
            if self._descriptor.parameter_info.metavar != "MODEL" and (odd := _not_utf8(checked)):
                raise UsageError(f"`{safe_text(odd)}` is not UTF-8 text", hint=f"given for {param.get_error_hint()}")
            return checked if self._many else checked[0]
        except ValueError as error:
            raise typer.BadParameter(str(error), ctx=ctx, param=param) from None

    def _checked(self, given: Any) -> Any:
        assert self._convert is not None
        value, limits = self._convert(given), self._descriptor.parameter_info
        names = limits.metavar in _NAMES
        if names and not str(given).strip():
            raise ValueError(f"it is empty; give a {limits.metavar} or omit the option")
        if limits.min is not None and value < limits.min:
            raise ValueError(f"{given} is less than {limits.min:.10g}")
        if limits.max is not None and value > limits.max:
            raise ValueError(f"{given} is more than {limits.max:.10g}")
        return value


def _not_utf8(values: list[Any]) -> str:
    # Python hands on bytes that are no UTF-8 as lone surrogates, which a file's name may have and a text may not.
    texts = (value for value in values if isinstance(value, str))
    return next((text for text in texts if any("\ud800" <= char <= "\udfff" for char in text)), "")


def _whole_number(text: Any) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number") from None


def _number(text: Any) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not a finite number")
    return value


_CONVERTERS: dict[Any, Callable[[Any], Any]] = {
    bool: bool,
    str: str,
    int: _whole_number,
    float: _number,
    Path: Path,
}
