"""The cells of a llama_context: counts, removes, shares and shifts them, and saves and restores states as bytes."""

from __future__ import annotations

import ctypes
from enum import Enum

import numpy as np
import numpy.typing as npt

from app.engine.native.devices import available_bytes
from app.engine.native.library import C, Native

State = npt.NDArray[np.uint8]
_MEMORY_SHARE = 0.5
_HEADER = 8
"""Bytes before the first part: a magic number and the sequence id."""
_PARTIAL = 1
"""Flag for the part of the memory that cannot be cut, the recurrent one (LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY)."""


def read_state(handle: Native, seq_id: int, flags: int = 0) -> State | None:
    """A copy of a sequence's cells; None if it is empty, memory is short or llama.cpp refuses."""
    size = int(C.llama_state_seq_get_size_ext(handle, seq_id, flags))
    available = available_bytes()
    if size <= 0 or (available is not None and size > _MEMORY_SHARE * available):
        return None
    state = np.empty(size, np.uint8)
    written = int(C.llama_state_seq_get_data_ext(handle, _pointer(state), size, seq_id, flags))
    return state[:written] if written else None


def write_state(handle: Native, seq_id: int, state: State, flags: int = 0) -> bool:
    """Fills an empty sequence from a state. Returns False if the state does not fit; cells may remain then."""
    return int(C.llama_state_seq_set_data_ext(handle, _pointer(state), len(state), seq_id, flags)) == len(state)


class StatePart(Enum):
    """The parts of a state, in order. A partial state lacks the first if there are several."""

    CELLS = "cells"
    """Keys and values of a cache: the number of streams, then for each its number of cells and the cells."""
    RECURRENT = "recurrent"
    """The memory of recurrent layers, which has no streams."""


def state_parts(model: Native) -> tuple[StatePart, ...]:
    """The parts of this model's states; empty if unknown (hybrid models with a sliding window)."""
    is_hybrid, has_window = bool(C.llama_model_is_hybrid(model)), int(C.llama_model_n_swa(model)) > 0
    if C.llama_model_is_recurrent(model):
        return (StatePart.RECURRENT,)
    if is_hybrid:
        return () if has_window else (StatePart.CELLS, StatePart.RECURRENT)
    return (StatePart.CELLS, StatePart.CELLS) if has_window else (StatePart.CELLS,)


def convert_streams(state: State, parts: tuple[StatePart, ...], n_partial: int, n_from: int, n_to: int) -> State:
    """Converts the state of one sequence from a context with `n_from` streams to one with `n_to`.

    `n_partial`: bytes of the same sequence's partial state. Raises ValueError if the format is not as expected.
    """
    if not parts:
        raise ValueError("a state of unknown parts")
    border = _HEADER + len(state) - n_partial
    pieces = [state[_HEADER:border], state[border:]]
    converted = (
        _convert_cells(piece, n_from, n_to) if part is StatePart.CELLS else piece
        for part, piece in zip(parts[-2:], pieces[-len(parts) :], strict=True)
        if len(piece)
    )
    return np.concatenate((state[:_HEADER], *converted))


def _convert_cells(cells: State, n_from: int, n_to: int) -> State:
    """Converts the part of one cache (llama_kv_cache::state_write), in which only one stream has cells."""
    header = np.frombuffer(cells[: 4 + 4 * n_from].tobytes(), np.uint32)
    n_before = next((i for i, count in enumerate(header[1:]) if count), n_from)
    begin, end = 4 + 4 * n_before, len(cells) - 4 * (n_from - 1 - n_before)
    if len(header) != 1 + n_from or header[0] != n_from or n_before == n_from or cells[end:].any():
        raise ValueError("not the cells of one sequence in one stream")
    n_streams, others = np.array([n_to], np.uint32), np.zeros(4 * (n_to - 1), np.uint8)
    return np.concatenate((n_streams.view(np.uint8), cells[begin:end], others))


def _pointer(state: State) -> Native:
    return state.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))


class NativeMemory:
    """The part of a context that manages cells. The subclass sets `_handle` and `_memory` when it opens the context."""

    n_slots: int
    unified: bool
    """True if the sequences share one pool of cells."""
    can_shift: bool
    n_window: int
    _parts: tuple[StatePart, ...]
    _handle: Native = None
    _memory: Native = None

    def __init__(self) -> None:
        self._sources: set[int] = set()
        self._targets: set[int] = set()
        """Streams that the next decode copies to; `_sources` are those it copies from."""

    @property
    def n_streams(self) -> int:
        """Implements `Backend.n_streams`."""
        return 1 if self.unified else self.n_slots

    def truncate(self, seq_id: int, n_past: int) -> bool:
        """Implements `Backend.truncate`."""
        return bool(C.llama_memory_seq_rm(self._memory, self._checked(seq_id), n_past, -1))

    def share(self, source: int, target: int) -> None:
        """Implements `Backend.share`. Always copies all positions: a range would abort the process in some caches."""
        self._check_not_copied(target)
        C.llama_memory_seq_cp(self._memory, self._checked(source), self._checked(target), -1, -1)
        if not self.unified:
            self._sources.add(source)
            self._targets.add(target)

    def begin_decode(self) -> None:
        """Notes that a decode begins: llama.cpp makes the pending copies first."""
        self._sources.clear()
        self._targets.clear()

    def read_state(self, seq_id: int, n_streams: int | None = None) -> State | None:
        """Implements `Backend.read_state`."""
        if not self._handle or self._checked(seq_id) in self._targets:
            return None
        state = read_state(self._handle, seq_id)
        if state is None or n_streams in (None, self.n_streams):
            return state
        try:
            n_partial = int(C.llama_state_seq_get_size_ext(self._handle, seq_id, _PARTIAL))
            return convert_streams(state, self._parts, n_partial, self.n_streams, n_streams)
        except ValueError:
            return None

    def write_state(self, seq_id: int, state: State) -> bool:
        """Implements `Backend.write_state`."""
        self._check_not_copied(seq_id)
        self.clear(seq_id)
        fits = write_state(self._handle, seq_id, state)
        if not fits:
            self.clear(seq_id)
        return fits

    def checkpoint(self, seq_id: int) -> State | None:
        """Implements `Backend.checkpoint`."""
        return read_state(self._handle, self._checked(seq_id), _PARTIAL)

    def rewind(self, seq_id: int, checkpoint: State, n_past: int) -> bool:
        """Implements `Backend.rewind`."""
        self._check_not_copied(seq_id)
        fits = write_state(self._handle, self._checked(seq_id), checkpoint, _PARTIAL)
        return fits and self.truncate(seq_id, n_past) and self.n_cells(seq_id) == n_past

    def shift(self, seq_id: int, n_keep: int, n_discard: int) -> None:
        """Implements `Backend.shift`; the keys are rotated to their new positions by the next decode."""
        if not self.can_shift or not 0 <= n_keep < n_keep + n_discard <= self.n_cells(seq_id):
            raise ValueError(f"cannot discard {n_discard} cells at {n_keep}")  # llama.cpp would abort the process
        C.llama_memory_seq_rm(self._memory, seq_id, n_keep, n_keep + n_discard)
        C.llama_memory_seq_add(self._memory, seq_id, n_keep + n_discard, -1, -n_discard)

    def clear(self, seq_id: int) -> None:
        """Implements `Backend.clear`."""
        C.llama_memory_seq_rm(self._memory, self._checked(seq_id), -1, -1)

    def n_cells(self, seq_id: int) -> int:
        """Implements `Backend.n_cells`."""
        return int(C.llama_memory_seq_pos_max(self._memory, self._checked(seq_id))) + 1

    def _check_not_copied(self, seq_id: int) -> None:
        if seq_id in self._sources or seq_id in self._targets:
            raise ValueError(f"the cells of sequence {seq_id} are still to be copied")

    def _checked(self, seq_id: int) -> int:
        if not 0 <= seq_id < self.n_slots:
            raise ValueError(f"sequence {seq_id} of {self.n_slots}")  # llama.cpp would abort the process
        return seq_id
