"""The rows of one llama_decode, as numpy arrays that the native batch points into."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class Batch:
    """Up to `capacity` rows, allocated once; the first `n` are in use."""

    def __init__(self, capacity: int, max_outputs: int) -> None:
        self.capacity = capacity
        self.max_outputs = max_outputs
        """Maximum number of rows with logits; llama.cpp would abort the process on more."""
        self.tokens = np.zeros(capacity, np.int32)
        self.positions = np.zeros(capacity, np.int32)
        self.seq_ids = np.zeros(capacity, np.int32)
        self.outputs = np.zeros(capacity, np.int8)
        self.n = 0
        self.n_outputs = 0

    @property
    def room(self) -> int:
        """Number of free rows."""
        return self.capacity - self.n

    def clear(self) -> None:
        """Removes all rows."""
        self.n = self.n_outputs = 0

    def add(self, tokens: Sequence[int], position: int, seq_id: int, n_outputs: int) -> int:
        """Adds consecutive rows of one sequence, the last `n_outputs` with logits. Returns the index of the first row.

        Raises ValueError if the rows or outputs do not fit; llama.cpp would abort the process.
        """
        first, count = self.n, len(tokens)
        if not 0 < count <= self.room or n_outputs > count or self.n_outputs + n_outputs > self.max_outputs:
            raise ValueError(f"{count} rows, {n_outputs} outputs do not fit in batch of {self.n}/{self.capacity}")
        end = first + count
        if count == 1:
            self.tokens[first], self.positions[first] = tokens[0], position
            self.seq_ids[first], self.outputs[first] = seq_id, n_outputs
        else:
            self.tokens[first:end] = tokens
            self.positions[first:end] = np.arange(position, position + count)
            self.seq_ids[first:end] = seq_id
            self.outputs[first:end] = 0
            self.outputs[end - n_outputs : end] = 1
        self.n = end
        self.n_outputs += n_outputs
        return first
