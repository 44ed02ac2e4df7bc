"""Cuts long plain text into what is laid out together."""

from __future__ import annotations

from collections.abc import Iterator

PLAIN_PIECE = 8000
"""Characters of plain text that are laid out together: a pasted megabyte costs only what is seen of it."""


def plain_pieces(text: str) -> Iterator[str]:
    """Yields `text` in pieces, cut at line ends if possible; such a line end is in neither piece."""
    at = 0
    while len(text) - at > PLAIN_PIECE:
        cut = text.rfind("\n", at, at + PLAIN_PIECE)
        cut = at + PLAIN_PIECE if cut < at else cut
        yield text[at:cut]
        at = cut + (text[cut] == "\n")
    yield text[at:]
