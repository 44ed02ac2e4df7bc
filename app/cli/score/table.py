"""Scored tokens as a table for a terminal; attributes always, colours unless NO_COLOR is set."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from app.cli.common import console
from app.domain.probability import percent
from app.domain.text import quoted, safe_text
from app.domain.trace import TokenTrace, TopToken


class PaintStyle(NamedTuple):
    """One way to show a token."""

    attributes: str
    """SGR codes that no colour is part of."""
    colour: str = ""


PLAIN = PaintStyle("")
CONTROL = PaintStyle("7")
QUIET = PaintStyle("2")


def wants_paint() -> bool:
    """Whether people look at standard output, and at a terminal that can show attributes."""
    return console.stdout_is_terminal() and os.environ.get("TERM") != "dumb"


def painted(text: str, look: PaintStyle) -> str:
    """`text`, made safe, in a look; line ends become visible and stay line ends."""
    codes = [look.attributes] if look.attributes else []
    if look.colour and not os.environ.get("NO_COLOR"):
        codes.append(look.colour)
    shown = safe_text(text).replace("\n", "↵\n")
    if not codes:
        return shown
    begin, end = f"\x1b[{';'.join(codes)}m", "\x1b[0m"
    return "\n".join(f"{begin}{line}{end}" if line else "" for line in shown.split("\n"))


def padded(text: str, width: int) -> str:
    """`text` with blanks behind it up to `width` columns of the terminal."""
    from rich.cells import cell_len

    return text + " " * max(0, width - cell_len(text))


_N_FIGURES = 51
"""Columns before the alternatives."""
_NARROWEST = 26
_NOTHING = "–"


def token_table(
    title: str, rows: Sequence[tuple[TokenTrace, PaintStyle]], n_top: int, columns: int, *, which: str = ""
) -> list[str]:
    """Returns a heading and the rows, with escape sequences; empty if there are none.

    Args:
        title: the heading of the tokens.
        rows: the tokens, each with its look.
        n_top: how many of the likeliest are looked at; a token does not stand in its own place.
        columns: those of the terminal.
        which: a last line that says which tokens these are.
    """
    if not rows:
        return []
    width = max(_NARROWEST, columns - _N_FIGURES)
    lines = [f"  {title:<18} {'p':>9} {'rank':>7} {'entropy':>10}  in its place"]
    for token, look in rows:
        name = quoted(token.text, 16)
        others = _wrapped([top for top in token.top[:n_top] if top.id != token.id], width)
        shown = f"  {painted(name, look)}{padded(name, 18)[len(name) :]} {_figures(token)}"
        lines.append(f"{shown}  {others[0] if others else '' if token.top else 'no context'}".rstrip())
        lines += [" " * _N_FIGURES + more for more in others[1:]]
    return [*lines, which, ""] if which else [*lines, ""]


def _figures(token: TokenTrace) -> str:
    if not token.top:
        return f"{_NOTHING:>9} {_NOTHING:>7} {_NOTHING:>10}"
    bits = f"{token.entropy:.2f} bits"
    return f"{percent(token.p):>9} {token.rank:>7,} {bits:>10}"


def _wrapped(others: Sequence[TopToken], width: int) -> list[str]:
    from rich.cells import cell_len

    lines: list[str] = []
    for top in others:
        shown = f"{quoted(top.text, 16)} {percent(top.p)}"
        if lines and cell_len(lines[-1]) + 3 + cell_len(shown) <= width:
            lines[-1] += f" · {shown}"
        else:
            lines.append(shown)
    return lines
