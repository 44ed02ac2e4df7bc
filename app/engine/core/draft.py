"""Drafters propose the next tokens cheaply. The target model's own sample decides; a draft never changes the text.

The n-gram drafter finds the latest occurrence of the last few tokens in the same context and proposes what followed
(prompt lookup decoding, Saxena 2023; llama.cpp's `ngram` drafters), in O(1) per token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

_LENGTHS = (4, 3, 2)
_LONGEST_MATCH = 32
_BUCKETS = (2, 3, 4, 6, 9, 16, 32)


MODEL = -1
"""Confidence of drafts from a draft model."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A proposal. `confidence` groups drafts with similar acceptance rates."""

    tokens: list[int]
    confidence: int


NO_DRAFT = Draft([], 0)


class Drafter(Protocol):
    """Drafts for one sequence."""

    costs_time: bool
    """Whether it computes; otherwise it only looks up text."""
    ms_first: float
    """Cost of the first token of a draft, catching up included; 0 until known."""
    ms_per_token: float
    """Cost of each further token; 0 until known."""

    def draft(self, k: int) -> Draft:
        """Returns at most `k` tokens that may follow the accepted ones; may be empty."""
        ...

    def accept(self, tokens: Sequence[int]) -> None:
        """Adds tokens of the sequence: the prompt, then sampled tokens."""
        ...


class NGramDrafter:
    """Indexes every n-gram of the sequence by its latest end."""

    costs_time = False
    ms_first = ms_per_token = 0.0

    def __init__(self) -> None:
        self._tokens: list[int] = []
        self._ends: dict[int, dict[tuple[int, ...], int]] = {n: {} for n in _LENGTHS}

    def accept(self, tokens: Sequence[int]) -> None:
        """Implements `Drafter.extend`; indexes an n-gram once a token follows it."""
        history, ends = self._tokens, self._ends
        for token in tokens:
            end = len(history)
            for n in _LENGTHS:
                if end >= n:
                    ends[n][tuple(history[end - n :])] = end
            history.append(token)

    def draft(self, k: int) -> Draft:
        """Implements `Drafter.draft`; the confidence is the length of the match, in steps."""
        history = self._tokens
        for n in _LENGTHS:
            if len(history) < n or k < 1:
                continue
            start = self._ends[n].get(tuple(history[-n:]))
            if start is not None:
                length = self._match_length(start, n)
                tokens = history[start : start + k]
                if (
                    length >= len(history) - start
                ):  # in a loop of the text the draft loops too (LZ77's overlapping copy)
                    tokens = (tokens * (k // len(tokens) + 1))[:k]
                return Draft(tokens, next(bucket for bucket in _BUCKETS if length <= bucket))
        return NO_DRAFT

    def _match_length(self, start: int, at_least: int) -> int:
        history, length, end = self._tokens, at_least, len(self._tokens)
        while length < _LONGEST_MATCH and length < start and history[start - length - 1] == history[end - length - 1]:
            length += 1
        return length
