"""The state of one sequence as bytes: what its cells hold, in llama.cpp's own format.

The bytes are checked by llama.cpp for layer count, types and sizes only. Which model and which tokens they belong to
is for the caller to know; damaged bytes must not come here.
"""

from __future__ import annotations

import ctypes
from enum import Enum

import numpy as np
import numpy.typing as npt

from app.engine.native.bindings import C, Native
from app.engine.native.machine import available_bytes

State = npt.NDArray[np.uint8]
_MEMORY_SHARE = 0.5
_HEADER = 8
"""Bytes before the first part: a magic number and the sequence."""
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


class Part(Enum):
    """What a state consists of, in this order; a state that is `PARTIAL` has not the first of several."""

    CELLS = "cells"
    """Keys and values of a cache: the number of streams, then of each its count of cells and the cells."""
    RECURRENT = "recurrent"
    """The memory of recurrent layers, which knows no streams."""


def parts_of(model: Native) -> tuple[Part, ...]:
    """The parts of a state of this model; empty where this cannot tell them apart."""
    is_hybrid, has_window = bool(C.llama_model_is_hybrid(model)), int(C.llama_model_n_swa(model)) > 0
    if C.llama_model_is_recurrent(model):
        return (Part.RECURRENT,)
    if is_hybrid:
        return () if has_window else (Part.CELLS, Part.RECURRENT)
    return (Part.CELLS, Part.CELLS) if has_window else (Part.CELLS,)


def partial_bytes(handle: Native, seq_id: int) -> int:
    """The size of what a `PARTIAL` state of a sequence holds."""
    return int(C.llama_state_seq_get_size_ext(handle, seq_id, PARTIAL))


def in_streams(state: State, parts: tuple[Part, ...], n_partial: int, n_from: int, n_to: int) -> State:
    """The state of a sequence of a context with `n_from` streams, as one with `n_to` takes it.

    `n_partial`: the size of the same state where it is `PARTIAL`. Raises ValueError where it is of another format.
    """
    if not parts:
        raise ValueError("a state of unknown parts")
    border = _HEADER + len(state) - n_partial
    pieces = [state[_HEADER:border], state[border:]]
    converted = (
        _cells_in_streams(piece, n_from, n_to) if part is Part.CELLS else piece
        for part, piece in zip(parts[-2:], pieces[-len(parts) :], strict=True)
        if len(piece)
    )
    return np.concatenate((state[:_HEADER], *converted))


def _cells_in_streams(cells: State, n_from: int, n_to: int) -> State:
    """One cache's part (llama_kv_cache::state_write); only one stream has any cells."""
    header = np.frombuffer(cells[: 4 + 4 * n_from].tobytes(), np.uint32)
    n_before = next((i for i, count in enumerate(header[1:]) if count), n_from)
    begin, end = 4 + 4 * n_before, len(cells) - 4 * (n_from - 1 - n_before)
    if len(header) != 1 + n_from or header[0] != n_from or n_before == n_from or cells[end:].any():
        raise ValueError("not the cells of one sequence in one stream")
    n_streams, others = np.array([n_to], np.uint32), np.zeros(4 * (n_to - 1), np.uint8)
    return np.concatenate((n_streams.view(np.uint8), cells[begin:end], others))


def _pointer(state: State) -> Native:
    return state.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
