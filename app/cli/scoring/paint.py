"""How tokens look in a terminal: attributes always, colours unless NO_COLOR is set; nothing is told by colour alone."""

from __future__ import annotations

import os
from typing import NamedTuple

from app.cli import console
from app.domain.text import safe_text


class Look(NamedTuple):
    """One way to show a token."""

    attributes: str
    """SGR codes that no colour is part of."""
    colour: str = ""


PLAIN = Look("")
CONTROL = Look("7")
QUIET = Look("2")


def wants_paint() -> bool:
    """Whether people look at standard output, and at a terminal that can show attributes."""
    return console.stdout_is_terminal() and os.environ.get("TERM") != "dumb"


def painted(text: str, look: Look) -> str:
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
