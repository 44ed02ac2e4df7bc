"""The sampler's decision as lines: candidates through the stages, the final distribution, where the draw fell. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase

from app.domain.probability import percent
from app.domain.text import one_line
from app.domain.trace import Origin, TokenTrace
from app.tui.inspect.chain import Chain, Step, Truth, intervals
from app.tui.inspect.survivors import INF
from app.tui.inspect.token_view import WIDE
from app.tui.panels.line import Line, bar, first_row, visible, width_of, wrap
from app.tui.panels.sections import p_role

_STAGES = 34
_GAP = 2
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
    left = height - len(head) - len(foot)
    stages = [_names(), *(_stage(step) for step in _fitting(chain.steps, left - 1))]
    if width >= WIDE:
        rows = _candidates(token, chain, width - _STAGES - _GAP, left)
        middle = [_beside(stages[i : i + 1], rows[i : i + 1]) for i in range(max(len(stages), len(rows)))][:left]
    else:
        middle = [*stages[: max(2, left // 2)]]
        middle += _candidates(token, chain, width, left - len(middle))
    gap: list[Line] = [()] if len(middle) < left else []
    return [*head, *middle, *gap, *foot][:height]


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


def _fitting(steps: Sequence[Step], height: int) -> list[Step]:
    """Leaves stages out that cut nothing, the first ones first, where there is no room for all; never the draw."""
    shown = list(steps)
    for step in steps[:-1]:
        if len(shown) > height and step.n_in == step.n_out:
            shown.remove(step)
    return shown


def _names() -> Line:
    return ((f"{'stage':<13}{'in':>9}   {'out':>8}", "dim"),)


def _stage(step: Step) -> Line:
    cut = step.n_out != step.n_in
    return (
        (f"{one_line(step.name, 12):<13}", "text"),
        (f"{count(step.n_in):>9}", "dim"),
        (" → ", "dim"),
        (f"{count(step.n_out):>8}", "value" if cut else "dim"),
    )


def _candidates(token: TokenTrace, chain: Chain, width: int, height: int) -> list[Line]:
    n_text = max(6, min(16, width // 3))
    n_bar = max(0, width - n_text - 22)
    lines: list[Line] = [((f"    {'candidate':<{n_text}}{'before':>8}{'after':>9}", "dim"),)]
    first = first_row(chain.pick or 0, len(token.top), height - 1)
    for i, candidate in list(enumerate(token.top))[first : first + max(0, height - 1)]:
        by, p = chain.cut_by(i), chain.p[i]
        came, picked = candidate.id == token.id, i == chain.pick
        after: Line = (
            ((f"   ✂ {by}", "dim"),) if by else ((f" {percent(p):>8} ", p_role(p)), (bar(p, n_bar), p_role(p)))
        )
        lines.append(
            (
                ("▶ " if came else "→ " if picked else "  ", "value"),
                (f"{_letter(chain, i)} ", "dim"),
                (visible(candidate.text, n_text), "value" if came or picked else "dim" if by else "text"),
                (f"{percent(candidate.p):>8}", p_role(candidate.p)),
                *after,
            )
        )
    return lines


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
        return f"greedy: no draw, the most likely one is taken{picked}"
    if chain.truth is Truth.RECORDED:
        return f"{chain.steps[-1].name} draws in a way of its own{picked}"
    return "where the draw fell is not known: the stages were not recorded"


def _at(parts: Sequence[tuple[int, float, float]], place: float, chain: Chain) -> str:
    return next((_letter(chain, i) for i, low, high in parts if low <= place < high), "·")


def _letter(chain: Chain, candidate: int) -> str:
    if candidate not in chain.order:
        return " "
    at = chain.order.index(candidate)
    return _LETTERS[at] if at < len(_LETTERS) else "+"


def _beside(left: Sequence[Line], right: Sequence[Line]) -> Line:
    first = left[0] if left else ()
    return (*first, (" " * max(1, _STAGES + _GAP - width_of(first)), "text"), *(right[0] if right else ()))
