"""The random numbers that a reply was drawn with, from its seed: what llama.cpp's `dist` stage takes, token by token.

std::mt19937 (Matsumoto and Nishimura 1998), whose generator Python's `random` has too; two of its 32-bit outputs make a
double, as `std::generate_canonical` of libstdc++ and libc++ does.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache

from app.domain.trace import Origin, TokenTrace

_N_STATE = 624


@lru_cache(maxsize=4)
def draws(seed: int, n: int) -> tuple[float, ...]:
    """Returns the first `n` random numbers of a seed, each in [0, 1)."""
    state = [seed & 0xFFFFFFFF]
    for i in range(1, _N_STATE):
        state.append((1812433253 * (state[-1] ^ (state[-1] >> 30)) + i) & 0xFFFFFFFF)
    twister = random.Random()
    twister.setstate((3, (*state, _N_STATE), None))
    pairs = ((twister.getrandbits(32), twister.getrandbits(32)) for _ in range(n))
    return tuple((low + high * 2.0**32) / 2.0**64 for low, high in pairs)


def draw_of(tokens: Sequence[TokenTrace], at: int, n_kept: int, seed: int) -> float | None:
    """Returns the random number that token `at` of a reply was drawn with; None where none was, or it is not known.

    Args:
        tokens: the reply's.
        n_kept: how many of the first ones were kept of an older reply; nothing was drawn for them.
        seed: of the request. Inside a thinking block with values of its own the chain has the seed behind it.
    """
    shown, before = tokens[at], tokens[n_kept:at]
    alike = [token for token in before if token.thinking == shown.thinking]
    # Where a grammar chose again, two numbers were drawn for one token.
    if at < n_kept or shown.origin is Origin.FORCED or any(token.origin is Origin.GRAMMAR for token in [*alike, shown]):
        return None
    n_before = sum(token.origin is not Origin.FORCED for token in alike)
    n_drawn = 64 * (n_before // 64 + 1)  # in steps, so that moving the cursor draws nothing again
    return draws((seed + 1) % (2**32 - 1) if shown.thinking else seed, n_drawn)[n_before]
