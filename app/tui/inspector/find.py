"""Finds tokens: by text across token borders, and the next one that was a surprise. Pure."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from app.domain.trace import ReplyTrace, TokenTrace

LOW_P = 0.1
HIGH_ENTROPY = 3.0
SURPRISE = "p < 10 % or entropy ≥ 3 bits"
"""The rule as the screen shows it."""


def is_surprising(token: TokenTrace) -> bool:
    """Whether a token was unlikely, or drawn where much was possible."""
    return token.p < LOW_P or token.entropy >= HIGH_ENTROPY


def next_surprise(tokens: Sequence[TokenTrace], after: int) -> int | None:
    """Returns the next surprising token, wrapping around at the end; None if there is none."""
    n = len(tokens)
    return next((i % n for i in range(after + 1, after + 1 + n) if is_surprising(tokens[i % n])), None)


def token_after(trace: ReplyTrace, n_bytes: int) -> int | None:
    """Returns the token that brought what follows so many bytes of a reply; None where the trace does not go so far."""
    found = bisect_right(trace.ends(), n_bytes)
    return found if found < len(trace.tokens) else None


def next_text(tokens: Sequence[TokenTrace], content: str, query: str, after: int) -> int | None:
    """Returns the next token after `after` in which `query` begins, from the beginning again after the last one.

    `content` is the reply's text, whose bytes the tokens share out; where they do not (an old trace, a control token's
    name), the pieces' own text is looked at. Upper and lower case are the same.
    """
    if not query:
        return None
    in_content = sum(token.n_bytes for token in tokens) == len(content.encode())
    text = content if in_content else "".join(token.text for token in tokens)
    ends = list(accumulate(token.n_bytes if in_content else len(token.text.encode()) for token in tokens))
    pattern = re.compile(re.escape(query), re.IGNORECASE)
    starts = [len(text[: found.start()].encode()) for found in pattern.finditer(text)]
    found = sorted({bisect_right(ends, start) for start in starts} | _named(tokens, pattern))
    return next((i for i in found if i > after), found[0] if found else None)


def _named(tokens: Sequence[TokenTrace], pattern: re.Pattern[str]) -> set[int]:
    return {i for i, token in enumerate(tokens) if not token.n_bytes and pattern.search(token.text)}
