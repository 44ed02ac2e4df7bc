"""The sampler's decision as lines, and the four parameters of a what-if."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from string import ascii_lowercase
from typing import NamedTuple

from msgspec.structs import replace

from app.analysis.chain import Chain, Truth, intervals
from app.analysis.survivors import INF
from app.analysis.what_if import Step
from app.domain.parameters import PARAMETERS, Parameter
from app.domain.probability import percent
from app.domain.sampling import SamplingParams
from app.domain.text import one_line
from app.domain.trace import Origin, TokenTrace
from app.tui.widgets.line import Line, bar, first_row, p_role, visible, width_of, wrap


class Knob(NamedTuple):
    """One parameter: its stage, its field, and the values that it is moved through, strict to loose."""

    name: str
    field: str
    values: tuple[float, ...]
    off: float | None
    """The value that switches the stage off."""


_OFF_LAST = 1e9
"""Stands for an `off` below the other values: without a limit top-k keeps more than with any."""


def _knob(row: Parameter) -> Knob:
    values = (*row.steps[:-1], _OFF_LAST) if row.steps[-1] < row.steps[0] else row.steps
    return Knob(row.name.replace("_", "-"), row.name, values, row.off)


KNOBS = tuple(_knob(row) for row in PARAMETERS.values() if row.steps)


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
        number = knob.off if value == _OFF_LAST else value
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
    return _OFF_LAST if value == knob.off and knob.values[-1] == _OFF_LAST else float(value)


_COLUMN = 9
"""Cells of a stage's column."""
_SHORT = {"temperature": "temp", "penalties": "penalty", "top-n-sigma": "sigma", "logit-bias": "bias"}
_LETTERS = ascii_lowercase + ascii_lowercase.upper()
_ROLES = {Truth.RECORDED: "ok", Truth.EXACT: "ok", Truth.APPROXIMATE: "warn"}


def sampler_lines(token: TokenTrace, chain: Chain | None, knobs: Line, hint: str, size: tuple[int, int]) -> list[Line]:
    """Returns the chain as lines.

    Args:
        token: the one that was sampled.
        chain: what the stages did; None where nothing is known of them.
        knobs: those of a what-if; empty outside of one.
        hint: what to do where the stages were not recorded.
        size: cells and lines.
    """
    width, height = size
    if chain is None or (token.origin is Origin.FORCED and not knobs):
        reason = (
            "This token was forced: no sampler chose it." if chain else "No candidates are stored: trace_top_k is 0."
        )
        return [(("SAMPLER", "title"),), *(((line, "text"),) for line in wrap(reason, width, 2))]
    head = _head(chain, knobs, hint, width)
    foot = [*_draw(token, chain, width), *([knobs] if knobs else [])]
    table = _table(token, chain, width, height - len(head) - len(foot))
    gap: list[Line] = [()] if len(head) + len(table) + len(foot) < height else []
    return [*head, *table, *gap, *foot][:height]


def count(bounds: tuple[float, float]) -> str:
    """Returns how many candidates, or the bounds of that."""
    low, high = bounds
    if low == INF:
        return "all"
    if low == high:
        return f"{low:,.0f}"
    return f"≥ {low:,.0f}" if high == INF else f"{low:,.0f}–{high:,.0f}"


def _head(chain: Chain, knobs: Line, hint: str, width: int) -> list[Line]:
    name = "WHAT IF" if knobs else "SAMPLER"
    head: Line = ((f"{name}  ", "title"), (chain.truth.value, _ROLES[chain.truth]))
    if not chain.why:
        return [head]
    lines: list[Line] = [(*head, (": " + one_line(chain.why, max(8, width - width_of(head) - 2)), "dim"))]
    return [*lines, ((one_line(hint, width), "dim"),)] if hint else lines


def _table(token: TokenTrace, chain: Chain, width: int, height: int) -> list[Line]:
    """Returns a row for each stored candidate and a column for each stage, with what it left of p and how many."""
    n_text = max(6, min(16, width // 4))
    room = max(1, (width - n_text - 4) // _COLUMN - 1)
    steps, n_hidden = _fitting(chain.steps, room)
    n_bar = max(0, width - n_text - 4 - _COLUMN * (1 + len(steps)) - 1)
    names = "".join(f"{_name(step):>{_COLUMN}}" for step in steps)
    left = "".join(f"{count(step.n_out):>{_COLUMN}}" for step in steps)
    first_in = count(chain.steps[0].n_in)
    lines: list[Line] = [
        ((f"    {'p after':<{n_text}}{'model':>{_COLUMN}}{names}{f'  +{n_hidden}' if n_hidden else ''}", "dim"),),
        ((f"    {'left':<{n_text}}{first_in:>{_COLUMN}}", "dim"), (left, "value")),
    ]
    n_rows = max(0, height - len(lines))
    first = first_row(chain.pick or 0, len(token.top), n_rows)
    for i, candidate in list(enumerate(token.top))[first : first + n_rows]:
        by, p = chain.cut_by(i), chain.p[i]
        came, picked = candidate.id == token.id, i == chain.pick
        line: Line = (
            ("▶ " if came else "→ " if picked else "  ", "value"),
            (f"{_letter(chain, i)} ", "dim"),
            (visible(candidate.text, n_text), "value" if came or picked else "dim" if by else "text"),
            (f"{percent(candidate.p):>{_COLUMN}}", p_role(candidate.p)),
        )
        # A cut by a stage that is not shown stands under the first one that is.
        at = next((n for n, step in enumerate(steps) if step.name == by), 0) if by else -1
        for n, step in enumerate(steps):
            cell = "✂" if n == at else percent(step.p[i]) if step.p[i] > 0 else ""
            line = (*line, (f"{cell:>{_COLUMN}}", p_role(step.p[i]) if step.p[i] > 0 else "dim"))
        lines.append(line if by else (*line, (" ", "text"), (bar(p, n_bar), p_role(p))))
    return lines


def _fitting(steps: Sequence[Step], room: int) -> tuple[list[Step], int]:
    """Returns the stages that are shown, and how many are not: those that cut nothing first, then the first ones.

    The draw changes nothing that is not seen in the stage before it.
    """
    shown = list(steps[:-1]) if len(steps) > 1 and steps[-1].name == "dist" else list(steps)
    n_all = len(shown)
    for step in list(shown):
        if len(shown) > room and step.n_in == step.n_out and step.name != "temperature":
            shown.remove(step)
    shown = shown[-room:]
    return shown, n_all - len(shown)


def _name(step: Step) -> str:
    return one_line(_SHORT.get(step.name, step.name), _COLUMN - 1)


def _draw(token: TokenTrace, chain: Chain, width: int) -> list[Line]:
    """Returns the final distribution from 0 to 1, and under it where the random number fell."""
    n_cells = max(8, width - 4)
    parts = intervals(chain.order, chain.p)
    strip = "".join(_at(parts, (cell + 0.5) / n_cells, chain) for cell in range(n_cells))
    line: Line = (("0 ", "dim"), (strip, "value"), (" 1", "dim"))
    picked = _outcome(token, chain)
    if chain.u is None:
        return [line, ((f"  {_undrawn(chain, picked)}", "dim"),)]
    at = min(n_cells - 1, int(chain.u * n_cells))
    said = f"u = {chain.u:.4f}{picked}"
    # On the side of the mark where there is room.
    shown = " " * at + f"▲ {said}" if at + len(said) + 2 <= n_cells else f"{said} ▲".rjust(at + 1)
    return [line, (("  ", "text"), (shown, "value"))]


def _outcome(token: TokenTrace, chain: Chain) -> str:
    if chain.pick is None:
        beyond = chain.truth is Truth.RECORDED and all(each.id != token.id for each in token.top)
        return f" → {visible(token.text, 16).rstrip()}, not among these" if beyond else ""
    picked = token.top[chain.pick]
    name = visible(picked.text, 16).rstrip()
    return f" → {name}" if picked.id == token.id else f" → {name} in place of {visible(token.text, 16).rstrip()}"


def _undrawn(chain: Chain, picked: str) -> str:
    names = {step.name for step in chain.steps}
    if "greedy" in names:
        return f"greedy: no draw, the most likely token is taken{picked}"
    if chain.truth is Truth.RECORDED:
        return f"{chain.steps[-1].name} has its own kind of draw{picked}"
    return "the position of the draw is unknown"


def _at(parts: Sequence[tuple[int, float, float]], place: float, chain: Chain) -> str:
    return next((_letter(chain, i) for i, low, high in parts if low <= place < high), "·")


def _letter(chain: Chain, candidate: int) -> str:
    if candidate not in chain.order:
        return " "
    at = chain.order.index(candidate)
    return _LETTERS[at] if at < len(_LETTERS) else "+"
