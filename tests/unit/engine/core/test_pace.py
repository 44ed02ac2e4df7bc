"""Several sequences in one batch tell of a busy machine as one does."""

from __future__ import annotations

import pytest

from app.engine.core.tuning import DecodeTuner
from tests.fakes.toy_native import ToyBackend


@pytest.mark.parametrize("n_sequences", [1, 4])
def test_batches_that_get_slow_are_tried_with_fewer_threads(n_sequences: int) -> None:
    backend = ToyBackend()
    backend.n_threads = 4
    used: list[int] = []
    backend.use_threads = used.append  # pyright: ignore[reportAttributeAccessIssue]  watched, not changed
    pace = DecodeTuner(backend)
    backend.batch.n = n_sequences
    for step in range(40):
        pace.prepare(exact=False)
        slow = step >= 12 and used[-1] > 1
        pace.decoded(0.400 if slow else 0.010, n_decoding=n_sequences, exact=False)
    assert used[:12] == [4] * 12
    assert min(used) < 4


def test_a_batch_with_a_prompt_says_nothing_of_threads() -> None:
    backend = ToyBackend()
    backend.n_threads = 4
    used: list[int] = []
    backend.use_threads = used.append  # pyright: ignore[reportAttributeAccessIssue]  watched, not changed
    pace = DecodeTuner(backend)
    backend.batch.n = 8
    for step in range(40):
        pace.prepare(exact=False)
        pace.decoded(0.010 if step < 12 else 0.400, n_decoding=0, exact=False)
    assert used == [4] * 40
