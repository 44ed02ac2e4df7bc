"""Token ids to the text of a reply, whole UTF-8 characters only."""

from __future__ import annotations

import codecs
from collections.abc import Iterable

from app.engine.text.vocab import Vocab


class Detokenizer:
    """The text of one reply, as it grows.

    Bytes that can never become a character turn into U+FFFD. A character that is not complete yet waits; when the
    reply ends before it is, it is not part of the text (the trace of its tokens has the bytes).
    """

    def __init__(self, vocab: Vocab, *, strip_space: bool = False) -> None:
        """With `strip_space` (see `Prompt.strip_space`) one space at the very start is left out."""
        self._pieces = vocab.pieces
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._strip_space = strip_space

    @property
    def at_start(self) -> bool:
        """Whether a space that comes next would be left out."""
        return self._strip_space

    def push(self, ids: Iterable[int]) -> str:
        """The text that `ids` complete; may be empty."""
        text = self._decoder.decode(b"".join(map(self._pieces.__getitem__, ids)))
        if self._strip_space and text:
            self._strip_space = False
            text = text.removeprefix(" ")
        return text
