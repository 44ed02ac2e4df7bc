"""What the latencies of a reply are compared with."""

from __future__ import annotations

from random import Random
from statistics import median

from app.domain.trace import TokenTrace
from app.tui.tokens.tint import Typical
from tests.fakes.engine_events import make_token


class Read(list[TokenTrace]):
    """Tells which of its tokens were read."""

    def __init__(self, tokens: list[TokenTrace]) -> None:
        super().__init__(tokens)
        self.read: list[TokenTrace] = []

    def __getitem__(self, at):
        found = super().__getitem__(at)
        self.read += found if isinstance(at, slice) else [found]
        return found

    def __iter__(self):
        raise AssertionError("all of it is read")


def test_it_is_the_median_but_for_the_first_token_and_each_token_is_read_once() -> None:
    random = Random(3)
    made = [make_token(f" {n}", n, ms=random.uniform(5, 50)) for n in range(300)]
    typical = Typical()
    assert typical.ms == 0.0
    n_read = 0
    for n in (0, 1, 2, 3, 10, 10, 151, 300):
        tokens = Read(made[:n])
        typical.take(tokens)
        n_read += len(tokens.read)
        assert typical.ms == (median(token.ms for token in made[1:n]) if n > 1 else 0.0)
    assert n_read == 299
