"""What the loop needs of a model with its context. The native context fits it, and so does the tests' toy."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from app.domain.sampling import SamplingParams
from app.engine.core.batch import Batch

Logits = npt.NDArray[np.float32]
"""One row: shape (n_vocab,), unnormalised log-probabilities."""


class Decoded(Enum):
    """How a decode ended, where it did not fail."""

    DONE = "done"
    NO_SLOT = "no slot"
    """No room in the KV cache; nothing changed."""
    ABORTED = "aborted"
    """The abort flag was seen; rows may or may not be in the KV cache."""


class ComputeError(Exception):
    """The backend failed; its context cannot be trusted until `Backend.reset`."""


class Sampler(Protocol):
    """One request's sampler chain with its state."""

    seed: int

    def sample(self, logits: Logits) -> int:
        """Chooses the next token and accepts it into the chain's history. `logits` is not changed."""
        ...

    def accept(self, tokens: Sequence[int]) -> None:
        """Puts tokens that were not sampled (the prompt's) into the history of penalties."""
        ...

    def close(self) -> None:
        """Frees the chain. Idempotent."""
        ...


class Backend(Protocol):
    """A loaded model with `n_slots` sequences of `n_ctx` cells each."""

    n_vocab: int
    n_ctx: int
    n_slots: int
    eog: frozenset[int]
    batch: Batch

    def decode(self) -> Decoded:
        """Computes the rows of `batch`. Raises ComputeError."""
        ...

    def logits(self, row: int) -> Logits:
        """The logits of a batch row that asked for them; valid until the next decode."""
        ...

    def truncate(self, seq_id: int, n_past: int) -> bool:
        """Drops the cells of a sequence from position `n_past` on; False where the model refuses a partial removal."""
        ...

    def clear(self, seq_id: int) -> None:
        """Drops all cells of a sequence."""
        ...

    def n_cells(self, seq_id: int) -> int:
        """Cells that a sequence holds, as the KV cache itself counts them."""
        ...

    def sampler(self, params: SamplingParams) -> Sampler:
        """A new chain."""
        ...

    def clear_abort(self) -> None:
        """Lowers the abort flag that another thread may have raised."""
        ...

    def reset(self) -> None:
        """Makes a new context after a failure; every sequence is empty. Raises ComputeError where that fails."""
        ...
