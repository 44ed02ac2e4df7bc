"""Token ids to the text of a reply in whole UTF-8 characters, with stop strings found and held back."""

from __future__ import annotations

import codecs
from collections.abc import Iterable

from app.engine.text.tokenizer import Vocab


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


class StopScanner:
    """Scans one reply. The stop that is complete first wins, of those the longest: so cuts make no difference."""

    def __init__(self, stops: Iterable[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""

    def hold(self, text: str) -> int:
        """Takes text that was shown already; returns how many of its last characters may begin a stop string.

        They are let out once more when they did not.
        """
        self._held = text[len(text) - max((_overlap(text, stop) for stop in self._stops), default=0) :]
        return len(self._held)

    def push(self, text: str) -> tuple[str, str | None]:
        """Returns the text to be shown and, when one is complete, the stop string; what follows it is dropped."""
        if not self._stops:
            return text, None
        held = self._held + text
        found = [(at + len(stop), at, stop) for stop in self._stops if (at := held.find(stop)) >= 0]
        if found:
            _, at, stop = min(found)
            self._held = ""
            return held[:at], stop
        shown = len(held) - max((_overlap(held, stop) for stop in self._stops), default=0)
        self._held = held[shown:]
        return held[:shown], None

    def flush(self) -> str:
        """The text held back, when the reply has ended otherwise."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a proper beginning of `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
