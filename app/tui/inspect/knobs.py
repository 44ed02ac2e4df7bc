"""The four parameters of a what-if, moved step by step. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import NamedTuple

from msgspec.structs import replace

from app.domain.sampling import SamplingParams
from app.tui.panels.line import Line


class Knob(NamedTuple):
    """One parameter: its name, its field, and the values that it is moved through."""

    name: str
    field: str
    values: tuple[float, ...]
    off: float | None
    """The value that switches the stage off."""


_OFF_LAST = 1e9
KNOBS = (
    Knob("temperature", "temperature", (*(round(n * 0.05, 2) for n in range(41)), 2.5, 3.0, 5.0), None),
    Knob("top-k", "top_k", (*map(float, (*range(1, 21), 25, 30, 40, 50, 75, 100)), _OFF_LAST), 0),
    Knob("top-p", "top_p", (*(round(n * 0.05, 2) for n in range(1, 20)), 0.98, 0.99, 1.0), 1),
    Knob("min-p", "min_p", (0, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0), 0),
)


class WhatIf(NamedTuple):
    """Where the knobs stand."""

    params: SamplingParams
    knob: int = 0

    def select(self, by: int) -> WhatIf:
        """Goes to the knob beside."""
        return self._replace(knob=(self.knob + by) % len(KNOBS))

    def turn(self, by: int) -> WhatIf:
        """Moves the knob to its next value up or down."""
        knob = KNOBS[self.knob]
        now = _position(knob, getattr(self.params, knob.field))
        at = bisect_right(knob.values, now) if by > 0 else bisect_left(knob.values, now) - 1
        if not 0 <= at < len(knob.values):
            return self
        value = knob.values[at]
        number = (0 if value == _OFF_LAST else int(value)) if knob.field == "top_k" else value
        return self._replace(params=replace(self.params, **{knob.field: number}))

    def line(self) -> Line:
        """Returns the knobs, the one that moves in brackets; `off` where a stage does nothing."""
        line: Line = ()
        for i, knob in enumerate(KNOBS):
            value = getattr(self.params, knob.field)
            shown = "off" if value == knob.off else "greedy" if not value else f"{value:g}"
            if knob.name not in self.params.samplers:
                shown = "not in the chain"
            text = f"◂{knob.name} {shown}▸" if i == self.knob else f" {knob.name} {shown} "
            line = (*line, (text, "cursor" if i == self.knob else "text"), (" ", "text"))
        return line


def _position(knob: Knob, value: float) -> float:
    # Without a limit top-k keeps more than with any.
    return _OFF_LAST if knob.field == "top_k" and value == 0 else float(value)
