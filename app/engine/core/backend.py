"""The interface of a model with its context, for the loop; the native context and the tests' toy implement it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from app.domain.sampling import SamplingParams
from app.domain.trace import Draw, StageTrace
from app.engine.core.batch import Batch

Logits = npt.NDArray[np.float32]
"""One row: shape (n_vocab,), unnormalised log-probabilities."""


State = npt.NDArray[np.uint8]
"""The cells of one sequence, in the backend's own format."""


Ids = npt.NDArray[np.int64]
"""Token ids."""


AdapterSet = tuple[tuple[str, float], ...]
"""The active LoRA adapters in canonical order, with their scales; cells of one set are useless to another."""


class Decoded(Enum):
    """Result of a decode that did not fail."""

    DONE = "done"
    NO_SLOT = "no slot"
    """No room in the KV cache; nothing changed."""
    ABORTED = "aborted"
    """Aborted; the rows may or may not be in the KV cache."""


class SamplingError(Exception):
    """The sampling parameters of a request are invalid or unsupported; the message says what and where."""


@dataclass(frozen=True, slots=True)
class StageReport:
    """The effect of each stage on the watched tokens, and the random draw."""

    stages: tuple[StageTrace, ...]
    draw: Draw | None


@dataclass(frozen=True, slots=True)
class PreviewResult:
    """The candidates that a chain would leave to draw from."""

    after: list[tuple[int, float]]
    """(id, probability), most likely first."""
    stages: tuple[StageTrace, ...]


class ComputeError(Exception):
    """The backend failed; its context cannot be trusted until `Backend.reset`."""


class Shadow(Protocol):
    """Predicts a sampler's next choices."""

    def choose(self, logits: Logits) -> int:
        """Chooses a token and accepts it, without changing the sampler. Raises ComputeError."""
        ...

    def close(self) -> None:
        """Frees native memory. Idempotent."""
        ...


class Sampler(Protocol):
    """One request's sampler chain with its state."""

    seed: int
    redirected: bool
    """Whether a grammar excluded the most likely token in the last `sample`."""
    thinking: bool
    """Whether the parameters for thinking applied to the last token."""

    def sample(self, logits: Logits, watch: Sequence[int] | None = None) -> int:
        """Chooses the next token and accepts it into the chain's history. `logits` is not changed.

        With `watch` (token ids), `report` then returns what each stage did to them.
        """
        ...

    @property
    def report(self) -> StageReport:
        """The report of the last `sample` with `watch`."""
        ...

    @property
    def near(self) -> Ids | None:
        """Ids that include the most likely tokens of the last `sample`'s logits; None if it did not look for them."""
        ...

    def force(self, token: int) -> None:
        """Accepts a forced token as the next one of the reply. Raises ComputeError if the grammar forbids it."""
        ...

    def preview(self, logits: Logits, watch: Sequence[int], k: int) -> PreviewResult:
        """Returns at most `k` tokens that the next `sample` would draw from, and the effect of each stage on `watch`.

        Changes neither the random state nor the history. Raises ComputeError.
        """
        ...

    def shadow(self) -> Shadow:
        """Returns a copy that draws the same random numbers as `sample` will.

        With it, a drafter predicts random choices as well as greedy ones.
        """
        ...

    def n_fitting(self, tokens: Sequence[int]) -> int:
        """Returns how many leading `tokens` the grammar allows next; all of them without a grammar."""
        ...

    @property
    def complete(self) -> bool:
        """Whether the reply may end here: false inside a grammar, and before a constrained answer."""
        ...

    def ban(self, tokens: Sequence[int]) -> None:
        """Stops sampling these tokens."""
        ...

    def unban(self, tokens: Sequence[int]) -> None:
        """Reverts `ban` for these tokens; bans and biases of `SamplingParams` stay."""
        ...

    def accept(self, tokens: Sequence[int]) -> None:
        """Adds tokens that were not sampled (the prompt's) to the history for penalties."""
        ...

    def close(self) -> None:
        """Frees the chain. Idempotent."""
        ...


class Backend(Protocol):
    """A loaded model with `n_slots` sequences of `n_ctx` cells each."""

    n_vocab: int
    n_ctx: int
    n_slots: int
    n_threads: int
    """Configured compute threads of a decode."""
    unified: bool
    """Whether all sequences share one pool of cells, so that a prefix can be shared between them."""
    eog: frozenset[int]
    partial_removal: bool
    """Whether `truncate` can remove only a part of a sequence."""
    n_window: int
    """Tokens that layers with a sliding window see; 0 without such layers.

    Cells outside the window are missing in saved states; in one pool, other sequences may take them.
    """
    can_shift: bool
    """Whether `shift` works for this model."""
    batch: Batch

    def decode(self) -> Decoded:
        """Computes the rows of `batch`. Raises ComputeError."""
        ...

    def use_threads(self, n_threads: int) -> None:
        """Sets the compute threads of the next decodes; a number below the configured one also limits prefills."""
        ...

    def logits(self, row: int) -> Logits:
        """Returns the logits of a batch row that requested them; valid until the next decode."""
        ...

    def truncate(self, seq_id: int, n_past: int) -> bool:
        """Removes the cells of a sequence from position `n_past` on; False if the model cannot remove a part."""
        ...

    def share(self, source: int, target: int) -> None:
        """Gives all cells of `source` to the empty sequence `target` as well.

        If `unified`, shares the cells. Otherwise the next decode copies them to another stream: until then no state may
        be written to `source`, and no state of `target` can be read.
        """
        ...

    def read_state(self, seq_id: int, n_streams: int | None = None) -> State | None:
        """Returns the cells of a sequence as bytes; None if that is impossible.

        `n_streams`: number of streams of the target context, if it is another one of the same model.
        """
        ...

    @property
    def n_streams(self) -> int:
        """Number of pools of cells; the layout of a state depends on it."""
        ...

    def write_state(self, seq_id: int, state: State) -> bool:
        """Replaces the cells of a sequence by saved ones; returns False and leaves none if they do not fit."""
        ...

    def checkpoint(self, seq_id: int) -> State | None:
        """Returns the data for `rewind` to return a sequence to its present state; None if that is impossible."""
        ...

    def rewind(self, seq_id: int, checkpoint: State, n_past: int) -> bool:
        """Returns a sequence to an earlier checkpoint after `n_past` tokens; False if that fails."""
        ...

    def shift(self, seq_id: int, n_keep: int, n_discard: int) -> None:
        """Removes `n_discard` cells after the first `n_keep` and moves the rest down. Requires `can_shift`."""
        ...

    def clear(self, seq_id: int) -> None:
        """Removes all cells of a sequence."""
        ...

    def n_cells(self, seq_id: int) -> int:
        """Returns the number of cells of a sequence by the KV cache's own count."""
        ...

    def token_ids(self, name: str) -> list[int]:
        """Returns the tokens for a name in `SamplingParams.force`. Raises SamplingError."""
        ...

    def sampler(self, params: SamplingParams) -> Sampler:
        """Creates a chain. Raises SamplingError."""
        ...

    def adapters(self, lora: Mapping[str, float] | None) -> AdapterSet:
        """Returns the adapters for `SamplingParams.lora`. Raises SamplingError."""
        ...

    def use_adapters(self, adapters: AdapterSet) -> None:
        """Uses these adapters in the next decodes, whose sequences must have no cells of another set."""
        ...

    def clear_abort(self) -> None:
        """Clears the abort flag that another thread may have set."""
        ...

    def reset(self) -> None:
        """Creates a new context with empty sequences after a failure. Raises ComputeError if that fails."""
        ...
