"""The rows of one llama_decode as llama.cpp takes them: pointers into the arrays of a `Batch`, nothing copied."""

from __future__ import annotations

import ctypes

import numpy as np

from app.engine.core.batch import Batch
from app.engine.native.bindings import C, Native


class NativeBatch:
    """A llama_batch whose arrays are those of a `Batch`."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._n_seq = np.ones(batch.capacity, np.int32)
        self._seq_pointers = (batch.seq_ids.ctypes.data + 4 * np.arange(batch.capacity)).astype(np.uintp)
        pointer: Native = ctypes.POINTER
        self._rows = C.llama_batch(
            0,
            batch.tokens.ctypes.data_as(pointer(C.llama_token)),
            None,
            batch.positions.ctypes.data_as(pointer(C.llama_pos)),
            self._n_seq.ctypes.data_as(pointer(ctypes.c_int32)),
            self._seq_pointers.ctypes.data_as(pointer(pointer(C.llama_seq_id))),
            batch.outputs.ctypes.data_as(pointer(ctypes.c_int8)),
        )

    def rows(self) -> Native:
        """The rows as llama_decode takes them."""
        if not self._batch.n:
            raise ValueError("empty batch")
        self._rows.n_tokens = self._batch.n
        return self._rows
