"""A vocabulary sorted by its text, made when it is first asked: reading every piece takes a tenth of a second."""

from __future__ import annotations

from bisect import bisect_left
from functools import cached_property

from app.engine.native.vocab import NativeVocab


class PieceIndex:
    """Finds the tokens of one vocabulary by how their text begins, or by what it holds. Control tokens have no text."""

    def __init__(self, vocab: NativeVocab) -> None:
        self._vocab = vocab

    def beginning(self, text: bytes) -> list[int]:
        """The tokens whose text begins with `text`."""
        at, found = bisect_left(self._pieces, (text, -1)), list[int]()
        while at < len(self._pieces) and self._pieces[at][0].startswith(text):
            found.append(self._pieces[at][1])
            at += 1
        return found

    def holding(self, text: bytes) -> list[int]:
        """The tokens whose text contains `text`."""
        return [token for piece, token in self._pieces if text in piece]

    @cached_property
    def _pieces(self) -> list[tuple[bytes, int]]:
        pieces = self._vocab.pieces
        return sorted((pieces[token], token) for token in range(self._vocab.n_vocab) if pieces[token])
