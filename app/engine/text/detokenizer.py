"""Token ids to the text of a reply, in whole UTF-8 characters; stop strings are found and held back."""

from __future__ import annotations

import codecs
from collections.abc import Iterable

from app.engine.text.tokenizer import Vocab


class Detokenizer:
    """Decodes one reply as it grows.

    Invalid bytes become U+FFFD. An incomplete character is held until its last byte comes; if the reply ends first, it
    is left out of the text (the trace still has its bytes).
    """

    def __init__(self, vocab: Vocab, *, strip_space: bool = False) -> None:
        """`strip_space`: drop one space at the start of the reply (`Prompt.strip_space`)."""
        self._pieces = vocab.pieces
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._strip_space = strip_space

    @property
    def at_start(self) -> bool:
        """True while the next space would be dropped."""
        return self._strip_space

    def push(self, ids: Iterable[int]) -> str:
        """Returns the text that `ids` complete, possibly empty."""
        text = self._decoder.decode(b"".join(map(self._pieces.__getitem__, ids)))
        if self._strip_space and text:
            self._strip_space = False
            text = text.removeprefix(" ")
        return text


class StopScanner:
    """Finds stop strings in one reply.

    The stop string that is complete first wins, and the longest of those that end together: the result does not depend
    on how the text is cut into pieces.
    """

    def __init__(self, stops: Iterable[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""

    def hold(self, text: str) -> int:
        """Takes text that was shown already; returns how many of its last characters may begin a stop string.

        `push` or `flush` returns these characters again if no stop string follows.
        """
        self._held = text[len(text) - max((_overlap(text, stop) for stop in self._stops), default=0) :]
        return len(self._held)

    def push(self, text: str) -> tuple[str, str | None]:
        """Returns (text to show, stop string or None). Text after a stop string is dropped."""
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
        """Returns the text that is held back, at the end of a reply without a stop string."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest suffix of `text` that is a proper prefix of `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
