"""Finds the thinking at the beginning of a reply while its text comes."""

from __future__ import annotations

from enum import Enum, auto

from app.engine.text.thinking import ReplyFormat


class _Place(Enum):
    BEFORE = auto()
    INSIDE = auto()
    BEHIND = auto()
    """After a closing mark, before the answer."""
    ANSWER = auto()


class ThinkingFinder:
    """Finds the thinking at the beginning of a reply while its text comes; any chunking gives the same offsets.

    Follows `ReplyFormat.split`: a block later in the answer, or a second one without `headers`, is part of the answer.
    """

    def __init__(self, replies: ReplyFormat, *, inside: bool) -> None:
        """`inside`: whether the prompt has opened the block."""
        self._replies = replies
        self._place = _Place.INSIDE if inside else _Place.BEFORE
        self._rest = ""
        self._at = 0
        """Offset of `_rest` in the reply's text."""
        self._start = self._end = 0

    @property
    def n_undecided(self) -> int:
        """Characters at the end of the text that may begin a mark or the answer."""
        return 0 if self._place is _Place.INSIDE else len(self._rest)

    @property
    def in_answer(self) -> bool:
        """Whether the answer has begun."""
        return self._place is _Place.ANSWER

    def span(self, n_chars: int) -> tuple[int, int, int] | None:
        """Returns `Thinking.start`, `.end` and `.answer` in the first `n_chars` of the text; None without thinking."""
        if self._place is _Place.BEFORE or (self.in_answer and not self._at):
            return None
        answer = self._at if self.in_answer else n_chars
        return min(self._start, n_chars), min(self._end, n_chars), min(answer, n_chars)

    def push(self, text: str) -> None:
        """Takes the reply's next text."""
        self._rest += text
        while not self.in_answer and self._step():
            pass
        if self.in_answer:
            self._rest = ""

    def finish(self) -> None:
        """Takes the text as complete: an unclosed block is all thinking."""
        if self._place is _Place.INSIDE:
            self._think(self._rest)
        else:
            self._place, self._rest = _Place.ANSWER, ""

    def _step(self) -> bool:
        """Goes to the next mark; False if it needs more text."""
        if self._place is _Place.INSIDE:
            closing = self._replies.closing
            thought, closed, _ = self._rest.partition(closing)
            self._think(thought if closed else thought[: len(thought) - _n_begun(thought, closing)])
            if closed:
                self._skip(len(closing))
                self._place = _Place.BEHIND
            return bool(closed)
        behind = self._place is _Place.BEHIND
        if behind:
            self._skip(len(self._rest) - len(self._rest.lstrip()))
        begun = self._rest.lstrip()
        n_blank = len(self._rest) - len(begun)
        headers = self._replies.headers
        opens = (self._replies.opening,) if headers or not behind else ()
        for mark in sorted((*opens, *headers), key=len, reverse=True):
            if begun.startswith(mark):
                self._skip(n_blank + len(mark))
                self._place = _Place.INSIDE if mark == self._replies.opening else _Place.BEHIND
                return True
        if begun and not any(mark.startswith(begun) for mark in (*opens, *headers)):
            self._place = _Place.ANSWER
        return False

    def _think(self, text: str) -> None:
        if thought := text.strip():
            n_blank = len(text) - len(text.lstrip())
            self._start = self._start if self._start < self._end else self._at + n_blank
            self._end = self._at + n_blank + len(thought)
        self._skip(len(text))

    def _skip(self, n_chars: int) -> None:
        self._rest = self._rest[n_chars:]
        self._at += n_chars


def _n_begun(text: str, mark: str) -> int:
    """How many characters at the end of `text` begin `mark`."""
    return next((n for n in range(min(len(mark) - 1, len(text)), 0, -1) if text.endswith(mark[:n])), 0)
