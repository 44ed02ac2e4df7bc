"""A reply drawn at random from what a grammar allows, byte by byte, with a wish to come to an end."""

from __future__ import annotations

from random import Random

from app.engine.grammar.matcher import Matcher

_CLOSING = b'"}],@:'


def random_reply(start: Matcher, eog: frozenset[int], random: Random, longest: int = 1500) -> bytes | None:
    """Draws one from a vocabulary whose first 256 tokens are bytes; None where it did not end in time."""
    state, reply = start.copy(), bytearray()
    for n in range(longest):
        allowed = state.mask().nonzero()[0].tolist()
        single = [token for token in allowed if token < 256]
        if eog & set(allowed) and (not single or random.random() < 0.3):
            return bytes(reply)
        closing = [token for token in single if token in _CLOSING]
        token = random.choice(closing if closing and random.random() < n / 60 else single)
        assert state.accept(token)
        reply.append(token)
    return None
