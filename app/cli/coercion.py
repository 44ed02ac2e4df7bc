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


def use_plain_coercion() -> None:
    """Makes typer convert with this module. typer has no public place for it; the import hygiene test watches it."""
    core.build_runtime_param = _PlainParameter  # pyright: ignore[reportAttributeAccessIssue, reportPrivateImportUsage] -- fits


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
            if self._many:
                return [self._checked(item) for item in value]
            return self._checked(value)
        except ValueError as error:
            raise typer.BadParameter(str(error), ctx=ctx, param=param) from None

    def _checked(self, given: Any) -> Any:
        assert self._convert is not None
        value, limits = self._convert(given), self._descriptor.parameter_info
        if limits.min is not None and value < limits.min:
            raise ValueError(f"{given} is less than {limits.min:.10g}")
        if limits.max is not None and value > limits.max:
            raise ValueError(f"{given} is more than {limits.max:.10g}")
        return value


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
