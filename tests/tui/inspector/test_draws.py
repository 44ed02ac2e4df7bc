"""The random numbers of a seed, against an independent generator, and which of them belongs to a token."""

import numpy as np
import pytest
from msgspec.structs import replace

from app.domain.trace import Origin
from app.tui.inspector.reproduce import draw_of, draws
from tests.fakes.engine_events import make_token


@pytest.mark.parametrize("seed", [0, 1, 7, 2**32 - 2])
def test_a_seed_gives_the_numbers_of_mt19937(seed):
    twin = np.random.RandomState(seed)
    pairs = [twin.randint(0, 1 << 32, 2, np.uint64) for _ in range(700)]
    assert draws(seed, 700) == tuple((int(low) + int(high) * 2.0**32) / 2.0**64 for low, high in pairs)


def test_forced_and_kept_tokens_draw_nothing():
    tokens = [make_token(" a") for _ in range(6)]
    tokens[3] = replace(tokens[3], origin=Origin.FORCED)
    numbers = draws(5, 8)
    found = [draw_of(tokens, at, 2, 5) for at in range(6)]
    assert found == [None, None, numbers[0], None, numbers[1], numbers[2]]


def test_a_thinking_block_with_values_of_its_own_has_its_own_numbers():
    tokens = [replace(make_token(" a"), thinking=at < 2) for at in range(4)]
    assert [draw_of(tokens, at, 0, 5) for at in range(4)] == [*draws(6, 2), *draws(5, 2)]


def test_behind_a_choice_that_was_made_twice_nothing_is_known():
    tokens = [make_token(" a"), replace(make_token(" b"), origin=Origin.GRAMMAR), make_token(" c")]
    assert [draw_of(tokens, at, 0, 5) for at in range(3)] == [draws(5, 1)[0], None, None]
