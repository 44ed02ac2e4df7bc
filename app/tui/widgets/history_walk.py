"""Walking back and forth through earlier prompts without losing the one being written. Knows nothing of widgets."""

from __future__ import annotations

from collections.abc import Callable, Sequence


class HistoryWalk:
    """Positions 0 (oldest) to n (the draft). What is left on the way, edited or not, is there on the way back.

    Args:
        present: turns an entry into the document that shows it.
    """

    def __init__(self, present: Callable[[str], str]) -> None:
        self._present = present
        self._entries: list[str] = []
        self._at = 0
        self._left: dict[int, str] = {}
        self._given: dict[int, str] = {}
        """Entries as they were first shown, to know the edited ones."""

    @property
    def at_draft(self) -> bool:
        """Whether the draft is shown, not an entry."""
        return self._at == len(self._entries)

    @property
    def draft(self) -> str:
        """The document of the draft while an entry is shown; else empty."""
        return "" if self.at_draft else self._left.get(len(self._entries), "")

    def replace(self, entries: Sequence[str]) -> None:
        """Takes new entries, newest last; the draft stays."""
        at_draft, draft = self.at_draft, self.draft
        self._entries = list(entries)
        self._at = len(self._entries) if at_draft else min(self._at, len(self._entries))
        self._left, self._given = {len(self._entries): draft}, {}

    def add(self, entry: str) -> None:
        """Appends what was sent, once where it repeats the last, and ends the walk."""
        if not self._entries or self._entries[-1] != entry:
            self._entries.append(entry)
        self.rest()

    def rest(self) -> None:
        """Ends the walk: what is shown from now on is the draft."""
        self._at = len(self._entries)
        self._left, self._given = {}, {}

    def step(self, by: int, shown: str) -> str | None:
        """Leaves the document `shown` and returns the one `by` places newer; None if there is none."""
        to = self._at + by
        if not 0 <= to <= len(self._entries):
            return None
        self._left[self._at] = shown
        self._at = to
        if to not in self._left:
            self._left[to] = self._given[to] = self._present(self._entries[to])
        return self._left[to]

    def unsent(self, shown: str) -> str:
        """Returns the documents that a person wrote and did not send: the draft, and an entry that was edited."""
        if self.at_draft:
            return shown
        edited = shown != self._given.get(self._at)
        return "\n".join(part for part in (self.draft, shown if edited else "") if part)
