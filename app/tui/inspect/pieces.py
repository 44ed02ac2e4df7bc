"""How a token is written in a flow of tokens: safe, never without a cell, control tokens and bytes told apart. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from rich.cells import cell_len

from app.domain.text import safe_text
from app.domain.trace import PromptToken, TokenTrace

NEWLINE = "↵"
TAB = "⇥   "
EMPTY = "∅"
_UNSEEN = {code: f"⟨U+{code:04X}⟩" for code in (0x00AD, 0x034F, 0x200B, 0x200C, 0x200D, 0x2060, 0xFE0E, 0xFE0F, 0xFEFF)}
_BYTES = re.compile(r"(?:<0x[0-9A-Fa-f]{2}>)+")


class Piece(NamedTuple):
    """One token as a flow shows it."""

    text: str
    """As in `TokenTrace.text`: not yet safe, its line ends are line ends."""
    ghosts: tuple[str, ...] = ()
    """Texts of rejected drafts in whose place it came."""


def piece_of(token: TokenTrace, *, ghosts: bool = False) -> Piece:
    """Returns a generated token; with `ghosts` the drafts it replaced."""
    return Piece(token.text, tuple(ghost.text for ghost in token.ghosts) if ghosts else ())


def is_bytes(text: str) -> bool:
    """Whether a piece is bytes that are not whole UTF-8, as in `<0xE2>`."""
    return _BYTES.fullmatch(text) is not None


def is_control(token: TokenTrace | PromptToken) -> bool:
    """Whether a token is a control token: it has a name, and lets no byte out into the text."""
    if isinstance(token, PromptToken):
        return token.is_control
    return token.n_bytes == 0 and bool(token.text) and not is_bytes(token.text)


def written(text: str) -> list[str]:
    """Returns a piece as parts to be shown; all but the last end a line. Nothing in them is invisible or unsafe."""
    parts = safe_text(text).split("\n")
    shown = [_seen(part) + NEWLINE for part in parts[:-1]]
    if parts[-1] or not shown:
        shown.append(_seen(parts[-1]) or EMPTY)
    return shown


def _seen(text: str) -> str:
    text = text.replace("\t", TAB).translate(_UNSEEN)
    # A combining mark would join the token before it; on a circle it is a token of its own.
    return f"◌{text}" if text and cell_len(text[0]) == 0 else text
