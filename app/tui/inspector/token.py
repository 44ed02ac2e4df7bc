"""One token as lines: what it is, how likely it was, how long it took, and the candidates beside it. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from math import isnan

from app.domain import units
from app.domain.probability import percent
from app.domain.trace import TokenTrace, TopToken
from app.tui.tokens.layout import is_bytes, is_control
from app.tui.tokens.tint import origin_words
from app.tui.widgets.line import Line, bar, first_row, p_role, visible, width_of

WIDE = 72
"""From this width on the candidates stand beside the facts."""
_FACTS = 36
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def token_lines(
    token: TokenTrace, place: tuple[int, int], controls: Collection[int], size: tuple[int, int], picked: int | None
) -> list[Line]:
    """Returns at most `size` cells of facts and candidates.

    Args:
        token: the one under the cursor.
        place: its number, from 1, and how many there are.
        controls: ids of tokens that are known to be control tokens.
        size: cells and lines.
        picked: the candidate that a fork would take; None while none is chosen.
    """
    width, height = size
    if width >= WIDE:
        facts = _facts(token, place, _FACTS)
        rows = candidate_lines(token, controls, (width - _FACTS - 2, height), picked)
        n = max(len(facts), len(rows))
        return [_beside(facts[i : i + 1], rows[i : i + 1]) for i in range(n)][:height]
    facts = _facts(token, place, width)
    left = height - len(facts) - 1
    return [*facts, (), *candidate_lines(token, controls, (width, left), picked)][:height]


def candidate_lines(
    token: TokenTrace, controls: Collection[int], size: tuple[int, int], picked: int | None
) -> list[Line]:
    """Returns a title and a row with a bar for each stored candidate, the chosen one marked."""
    width, height = size
    if not token.top:
        return [(("CANDIDATES", "title"),), (("none were stored: trace_top_k is 0", "dim"),)]
    n_text = max(8, min(20, width // 3))
    n_bar = max(0, width - n_text - 2 - 9)
    title: Line = (("CANDIDATES", "title"), ("  p before the chain", "dim"))
    rows = [
        _candidate(i, each, each.id == token.id, each.id in controls, (n_text, n_bar), picked)
        for i, each in enumerate(token.top)
    ]
    if all(each.id != token.id for each in token.top):
        chosen = TopToken(token.id, token.text, token.p)
        rows.append((*_candidate(-1, chosen, True, False, (n_text, 0), None), (f" rank {token.rank}", "dim")))
    first = first_row(picked or 0, len(rows), height - 1)
    return [title, *rows[first : first + max(0, height - 1)]]


def candidate_at(token: TokenTrace, at: tuple[int, int], size: tuple[int, int], picked: int | None) -> int | None:
    """Returns the candidate that `token_lines` shows at a cell and a line; None if there is none."""
    (x, y), (width, height) = at, size
    top = 1
    if width < WIDE:
        n_above = len(_facts(token, (1, 1), width)) + 1
        top, height = top + n_above, height - n_above
    elif x < _FACTS:
        return None
    row = first_row(picked or 0, len(token.top), height - 1) + y - top
    return row if y >= top and row < len(token.top) else None


def _candidate(
    index: int, token: TopToken, chosen: bool, control: bool, cells: tuple[int, int], picked: int | None
) -> Line:
    n_text, n_bar = cells
    role = "cursor" if index == picked and picked is not None else "value" if chosen else "text"
    name = visible(token.text, n_text)
    shown = bar(token.p, n_bar) if n_bar else ""
    if control:
        role, shown = ("control" if role == "text" else role), bar(token.p, max(0, n_bar - 9)) + "  control"
    return (
        ("▶ " if chosen else "  ", "value"),
        (name, role),
        (f"{percent(token.p):>7} ", p_role(token.p)),
        (shown, p_role(token.p)),
    )


def _facts(token: TokenTrace, place: tuple[int, int], width: int) -> list[Line]:
    number, n = place
    kind = "control token" if is_control(token) else "part of a character" if is_bytes(token.text) else ""
    other = max(0.0, token.ms - token.decode_ms - token.sample_ms)
    phases = (("decode", token.decode_ms), ("sampling", token.sample_ms), ("other", other))
    rows: list[tuple[str, str, str]] = [
        ("text", visible(f"“{token.text}”", width - 10).rstrip(), "value"),
        ("bytes", _bytes(token.text, width - 10) if kind != "control token" else "none: a control token", "text"),
        ("id", (f"{token.id}" if token.id >= 0 else units.UNKNOWN) + (f"  ({kind})" if kind else ""), "text"),
        ("p", f"{percent(token.p)}   rank {token.rank or units.UNKNOWN}", p_role(token.p)),
        ("logprob", f"{token.logprob:.4f}", "text"),
        ("entropy", units.bits(token.entropy, 3), "text"),
        ("p(end)", units.UNKNOWN if isnan(token.p_end) else percent(token.p_end), "text"),
        ("origin", origin_words(token.origin), "value"),
        ("ms", f"{_ms(token.ms)}   as text {_ms(token.text_ms)}", "text"),
    ]
    lines: list[Line] = [(("TOKEN ", "title"), (f"{number:,}", "value"), (f" of {n:,}", "dim"))]
    lines += [((f"{label:<9} ", "dim"), (value, role)) for label, value, role in rows]
    if token.decode_ms or token.sample_ms:
        spans = [((f"{name} ", "dim"), (f"{_ms(value)} ", "text")) for name, value in phases]
        lines.append(tuple(span for pair in spans for span in pair))
    if token.ghosts:
        texts = "".join(ghost.text for ghost in token.ghosts)
        lines.append((("rejected  ", "dim"), (visible(texts, width - 19).rstrip(), "ghost"), _ghost_p(token)))
    return lines


def _ghost_p(token: TokenTrace) -> tuple[str, str]:
    return f" {percent(token.ghosts[0].p)}", "dim"


def _ms(value: float) -> str:
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def _bytes(text: str, n_cells: int) -> str:
    data = b"".join(
        bytes([int(part, 16)]) if i % 2 else part.encode(errors="surrogatepass")
        for i, part in enumerate(_BYTE.split(text))
    )
    shown = data.hex(" ")
    return shown if len(shown) <= n_cells else f"{shown[: (n_cells - 1) // 3 * 3]}…"


def _beside(left: Sequence[Line], right: Sequence[Line]) -> Line:
    first = left[0] if left else ()
    gap = " " * max(1, _FACTS + 2 - width_of(first))
    return (*first, (gap, "text"), *(right[0] if right else ()))
