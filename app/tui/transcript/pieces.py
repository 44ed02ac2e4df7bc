"""Cuts long plain text into what is laid out together."""

from __future__ import annotations

from collections.abc import Iterator

PLAIN_PIECE = 8000
"""Characters of plain text that are laid out together: a pasted megabyte costs only what is seen of it."""


def plain_pieces(text: str) -> Iterator[str]:
    """Yields `text` in pieces that end at a line end where there is one; that line end is left out."""
    at = 0
    while len(text) - at > PLAIN_PIECE:
        cut = text.rfind("\n", at, at + PLAIN_PIECE)
        cut = at + PLAIN_PIECE if cut < at else cut
        yield text[at:cut]
        at = cut + (text[cut] == "\n")
    yield text[at:]
