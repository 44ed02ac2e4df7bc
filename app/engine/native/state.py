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


def _pointer(state: State) -> Native:
    return state.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
