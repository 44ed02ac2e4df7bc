"""The log-probabilities of a server as the traces of tokens. Pure; what a server does not say stays unknown."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

from app.domain.trace import TokenTrace, TopToken
from app.remote.chunks import LOWEST_LOGPROB, LikelyToken


def traces(tokens: Sequence[LikelyToken], ms: float, n_bytes: int, *, thinking: bool) -> tuple[TokenTrace, ...]:
    """The tokens of one chunk. They came together: the first has the time `ms` since the chunk before.

    Args:
        tokens: as the server gave them.
        ms: in milliseconds.
        n_bytes: UTF-8 bytes of the chunk's text, which the tokens share in their order; a rest is the last one's.
        thinking: whether they are no part of the text.
    """
    found: list[TokenTrace] = []
    for index, token in enumerate(tokens):
        last = index == len(tokens) - 1
        size = n_bytes if last else min(len(token.raw), n_bytes)
        n_bytes -= size
        found.append(_trace(token, 0.0 if index else ms, size, thinking))
    return tuple(found)


def _trace(token: LikelyToken, ms: float, n_bytes: int, thinking: bool) -> TokenTrace:
    p, logprob = _probability(token), token.logprob if token.logprob > LOWEST_LOGPROB else -math.inf
    places = (rank for rank, each in enumerate(token.top, 1) if _id(each) == _id(token))
    return TokenTrace(
        id=_id(token),
        text=_piece(token),
        ms=ms,
        p=p,
        logprob=logprob,
        rank=next(places, 0),
        entropy=math.nan,
        top=tuple(_top(each) for each in token.top),
        n_bytes=n_bytes,
        p_end=math.nan,
        thinking=thinking,
    )


def _top(token: LikelyToken) -> TopToken:
    return TopToken(_id(token), _piece(token), _probability(token))


def _id(token: LikelyToken) -> int:
    return -1 - (zlib.crc32(token.raw) >> 1) if token.id is None else token.id


def _probability(token: LikelyToken) -> float:
    return min(1.0, math.exp(token.logprob)) if token.logprob > LOWEST_LOGPROB else 0.0


def _piece(token: LikelyToken) -> str:
    """Its text; bytes that are not whole UTF-8 by their numbers, as `TopToken.text` has them."""
    try:
        return token.raw.decode() or token.text
    except UnicodeDecodeError:
        return "".join(f"<0x{byte:02X}>" for byte in token.raw)
