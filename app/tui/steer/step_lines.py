"""The panel of step mode as lines: the next token's candidates before and after the sampler chain. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.probability import percent
from app.domain.text import one_line
from app.tui.panels.line import Line, bar, first_row, spread, visible, width_of
from app.tui.panels.sections import p_role
from app.tui.steer.stepping import Alternative, Hold, Stepping

N_HEAD = 2
"""Lines above the rows."""
_HEAD = "next token"
_UNDO = "b takes it back"
_MARK, _RANK, _P, _GAP = 2, 4, 8, 2


def step_lines(state: Stepping, width: int, height: int) -> list[Line]:
    """Returns at most `height` lines: a title, the columns' names, and the rows around the cursor."""
    n_text = max(len(_HEAD) + 1, min(24, width // 4))
    n_bar = max(0, (width - _MARK - _RANK - n_text - 2 * _P - _GAP) // 2)
    lines = [_title(state, width), _heads(n_text, n_bar)]
    first = first_row(state.cursor, len(state.rows), height - N_HEAD)
    for place, row in enumerate(state.rows[first : first + max(0, height - N_HEAD)], first):
        lines.append(_row(row, place == state.cursor, row.id in state.banned, n_text, n_bar))
    return lines[:height]


def _title(state: Stepping, width: int) -> Line:
    word, role = _state(state)
    left: list[Line] = [((f"token {state.n_generated + 1:,}", "value"),)]
    if state.prediction is not None:
        left.append((("entropy ", "dim"), (f"{state.prediction.entropy:.2f} bits", "value")))
        left.append((("end ", "dim"), (percent(state.prediction.p_end), "value")))
    if state.banned:
        names = " ".join(one_line(text, 12).strip() or "␣" for text in list(state.banned.values())[-3:])
        left.append((("banned ", "dim"), (f"{len(state.banned)}: {names}", "value")))
        left.append((("u ", "value"), ("takes the last back", "dim")))
    line: Line = (("STEP ", "title"),)
    for part in left:
        grown: Line = (*line, *((("· ", "dim"),) if len(line) > 1 else ()), *part, (" ", "text"))
        if width_of(grown) + len(word) + 1 > width:
            break
        line = grown
    return spread(line, ((word, role),), width)


def _state(state: Stepping) -> tuple[str, str]:
    if state.count:
        return f"{state.count}▏ tokens: Space", "value"
    if state.hold is Hold.STEPPING:
        n = state.n_asked
        return (f"computing {n:,} tokens", "dim") if n != 1 else ("computing", "dim")
    return "‖ paused", "warn"


def _heads(n_text: int, n_bar: int) -> Line:
    lead = " " * (_MARK + _RANK)
    before = "before the chain" if n_bar >= 8 else "before"
    after = "after it" if n_bar >= 8 else "after"
    return ((lead + _HEAD.ljust(n_text) + before.rjust(_P).ljust(_P + n_bar + _GAP) + after, "dim"),)


def _row(row: Alternative, at_cursor: bool, banned: bool, n_text: int, n_bar: int) -> Line:
    rank = f"{row.rank:>3} " if row.rank < 1000 else "1k+ "
    return (
        ("▶ " if at_cursor else "  ", "value"),
        (rank, "dim"),
        (visible(row.text, n_text), "value" if at_cursor else "text"),
        *_measure(row.before, n_bar, "–"),
        (" " * _GAP, "text"),
        *_measure(row.after, n_bar, "banned" if banned else "cut", _UNDO if banned and at_cursor else ""),
    )


def _measure(p: float, n_bar: int, nothing: str, words: str = "") -> Sequence[tuple[str, str]]:
    if p <= 0:
        return ((f"{nothing:>{_P - 1}} ", "dim"), (words.ljust(n_bar) if len(words) <= n_bar else " " * n_bar, "text"))
    return ((f"{percent(p):>{_P - 1}} ", p_role(p)), (bar(p, n_bar).ljust(n_bar), p_role(p)))
