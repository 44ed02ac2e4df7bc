"""What the account says of shared cells against the cells themselves, as llama.cpp writes them into a state."""

from __future__ import annotations

import ctypes
import struct

import numpy as np
import pytest

from app.domain.sampling import SamplingParams
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import Sequence
from app.engine.native.context import NativeContext
from app.engine.native.library import C

pytestmark = pytest.mark.model

N_BRANCHES = 4


def holders(context: NativeContext) -> list[tuple[int, frozenset[int]]]:
    """Of every cell in use: its position and the sequences that hold it."""
    handle = context._handle  # pyright: ignore[reportPrivateUsage]
    state = np.empty(C.llama_state_get_size(handle), np.uint8)
    written = C.llama_state_get_data(handle, state.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8)), len(state))
    data = state[:written].tobytes()

    def numbers(n: int) -> tuple[int, ...]:
        nonlocal at
        at += 4 * n
        return struct.unpack_from(f"<{n}i", data, at - 4 * n)

    at = 4 + struct.unpack_from("<I", data)[0]  # behind the name of the architecture
    n_streams, n_cells = numbers(2)
    assert n_streams == 1
    return [(position, frozenset(numbers(n))) for position, n in (numbers(2) for _ in range(n_cells))]


def reported(scheduler: Scheduler, sequence: Sequence) -> list[int]:
    """How many others hold each cell of a sequence, as its account says."""
    spans = [span for span in scheduler.account(sequence) if span.kind != "free"]
    return [span.n_sharers for span in spans for _ in range(span.n_tokens)]


def held(cells: list[tuple[int, frozenset[int]]], seq_id: int) -> list[int]:
    return [len(holders) - 1 for _, holders in sorted(cells, key=lambda cell: cell[0]) if seq_id in holders]


def test_the_account_of_shared_cells_is_what_the_cache_holds_at_every_step(context: NativeContext) -> None:
    pool = context.sharing(N_BRANCHES)
    try:
        scheduler = Scheduler(pool)
        prompt = list(range(1000, 1040))
        branches = [
            Sequence(i, prompt, SamplingParams(temperature=1.5, seed=i, max_tokens=4 + 2 * i), 0, 0.0)
            for i in range(1, N_BRANCHES)
        ]
        branches.append(Sequence(9, [*prompt[:30], *range(50, 60)], SamplingParams(max_tokens=3), 0, 0.0))
        for branch in branches:
            scheduler.submit(branch)
        n_steps, most = 0, 0
        while not scheduler.idle:
            scheduler.step()
            n_steps += 1
            cells = holders(pool)
            running = [branch for branch in branches if branch.slot and branch.finish_reason is None]
            for branch in running:
                assert branch.slot is not None
                found = reported(scheduler, branch)
                assert found == held(cells, branch.slot.seq_id)
                most = max(most, sum(n == N_BRANCHES - 1 for n in found))
        assert n_steps > 5
        assert most == 30
        # Another prompt takes a slot: the others hold its cells without it, and their accounts say so.
        other = Sequence(10, [*prompt[:20], *range(70, 90)], SamplingParams(max_tokens=2), 0, 0.0)
        scheduler.submit(other)
        scheduler.step()
        cells = holders(pool)
        for sequence in (other, *(each for each in branches if each.slot is not other.slot)):
            assert sequence.slot is not None
            assert reported(scheduler, sequence) == held(cells, sequence.slot.seq_id)
    finally:
        pool.close()
