"""Drafters: what may come next, guessed cheaply. The target model's own sample decides; a guess never changes the text.

The n-gram drafter looks up where the last few tokens occurred before in the same context and proposes what followed
(prompt lookup decoding, Saxena 2023; llama.cpp's `ngram` drafters), in O(1) a token and with the latest occurrence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

_LENGTHS = (4, 3, 2)
_LONGEST_MATCH = 32
_BUCKETS = (2, 3, 4, 6, 9, 16, 32)


MODEL = -1
"""Confidence of what a draft model proposes."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A proposal. `confidence` groups drafts that are accepted about as often as each other."""

    tokens: list[int]
    confidence: int


NO_DRAFT = Draft([], 0)


class Drafter(Protocol):
    """Follows one sequence."""

    costs_time: bool
    """Whether it computes; else it only looks things up."""
    ms_first: float
    """What the first token of a draft costs, with the reading of what came since the last one; 0 until it is known."""
    ms_per_token: float
    """What each token after it costs; 0 likewise."""

    def draft(self, k: int) -> Draft:
        """At most `k` tokens that may follow those accepted so far; none where there is nothing to go on."""
        ...

    def accept(self, tokens: Sequence[int]) -> None:
        """Takes tokens that are now part of the sequence: the prompt, then what was sampled."""
        ...


class NGramDrafter:
    """Indexes every n-gram of the sequence by where it last ended."""

    costs_time = False
    ms_first = ms_per_token = 0.0

    def __init__(self) -> None:
        self._tokens: list[int] = []
        self._ends: dict[int, dict[tuple[int, ...], int]] = {n: {} for n in _LENGTHS}

    def accept(self, tokens: Sequence[int]) -> None:
        """See `Drafter`. An n-gram is indexed once something follows it."""
        history, ends = self._tokens, self._ends
        for token in tokens:
            end = len(history)
            for n in _LENGTHS:
                if end >= n:
                    ends[n][tuple(history[end - n :])] = end
            history.append(token)

    def draft(self, k: int) -> Draft:
        """See `Drafter`. The confidence is the length of the match, in steps."""
        history = self._tokens
        for n in _LENGTHS:
            if len(history) < n or k < 1:
                continue
            start = self._ends[n].get(tuple(history[-n:]))
            if start is not None:
                length = self._match_length(start, n)
                tokens = history[start : start + k]
                if length >= len(history) - start:  # the text goes round: so does the draft (LZ77's overlapping copy)
                    tokens = (tokens * (k // len(tokens) + 1))[:k]
                return Draft(tokens, next(bucket for bucket in _BUCKETS if length <= bucket))
        return NO_DRAFT

    def _match_length(self, start: int, at_least: int) -> int:
        history, length, end = self._tokens, at_least, len(self._tokens)
        while length < _LONGEST_MATCH and length < start and history[start - length - 1] == history[end - length - 1]:
            length += 1
        return length
