"""Finds stop strings in a stream of text and holds back what may become one."""

from __future__ import annotations

from collections.abc import Iterable


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
