"""The state of one sequence as bytes: what its cells hold, in llama.cpp's own format.

The bytes are checked by llama.cpp for layer count, types and sizes only. Which model and which tokens they belong to
is for the caller to know; damaged bytes must not come here.
"""

from __future__ import annotations

import ctypes

import numpy as np
import numpy.typing as npt

from app.engine.native.bindings import C, Native
from app.engine.native.machine import available_bytes

State = npt.NDArray[np.uint8]
_MEMORY_SHARE = 0.5
PARTIAL = 1
"""Flag: only what cannot be cut, the recurrent part of a model's memory (LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY)."""


def read_state(handle: Native, seq_id: int, flags: int = 0) -> State | None:
    """A copy of a sequence's cells; None where there is nothing, no memory for it, or llama.cpp refuses."""
    size = int(C.llama_state_seq_get_size_ext(handle, seq_id, flags))
    available = available_bytes()
    if size <= 0 or (available is not None and size > _MEMORY_SHARE * available):
        return None
    state = np.empty(size, np.uint8)
    written = int(C.llama_state_seq_get_data_ext(handle, _pointer(state), size, seq_id, flags))
    return state[:written] if written else None


def write_state(handle: Native, seq_id: int, state: State, flags: int = 0) -> bool:
    """Fills an empty sequence from a state; False, leaving it empty or in part filled, where it does not fit."""
    return int(C.llama_state_seq_set_data_ext(handle, _pointer(state), len(state), seq_id, flags)) == len(state)


def in_streams(state: State, n_from: int, n_to: int) -> State:
    """The state of a sequence of a context with `n_from` streams, as one with `n_to` takes it.

    The format (llama_kv_cache::state_write): magic, sequence, number of streams, then each stream's count of cells and
    the cells; only one stream has any. Raises ValueError where it is not so.
    """
    header = np.frombuffer(state[: 12 + 4 * n_from].tobytes(), np.uint32)
    n_before = next((i for i, count in enumerate(header[3:]) if count), n_from)
    begin, end = 12 + 4 * n_before, len(state) - 4 * (n_from - 1 - n_before)
    if header[2] != n_from or n_before == n_from or state[end:].any():
        raise ValueError("not the state of one sequence in one stream")
    n_streams, others = np.array([n_to], np.uint32), np.zeros(4 * (n_to - 1), np.uint8)
    return np.concatenate((state[:8], n_streams.view(np.uint8), state[begin:end], others))


def _pointer(state: State) -> Native:
    return state.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
