"""What the loop needs of a model with its context. The native context fits it, and so does the tests' toy."""

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
"""The LoRA adapters that act, by name with their scales, in one order; cells of one set are worthless to another."""


class Decoded(Enum):
    """How a decode ended, where it did not fail."""

    DONE = "done"
    NO_SLOT = "no slot"
    """No room in the KV cache; nothing changed."""
    ABORTED = "aborted"
    """The abort flag was seen; rows may or may not be in the KV cache."""


class SamplingError(Exception):
    """What a request asks of the sampler cannot be done; the message says what is wrong and where."""


@dataclass(frozen=True, slots=True)
class StageReport:
    """What the stages of a chain did to the watched tokens, and where the draw fell."""

    stages: tuple[StageTrace, ...]
    draw: Draw | None


@dataclass(frozen=True, slots=True)
class PreviewResult:
    """What a chain would leave of the candidates to draw from."""

    after: list[tuple[int, float]]
    """(id, probability), most likely first."""
    stages: tuple[StageTrace, ...]


class ComputeError(Exception):
    """The backend failed; its context cannot be trusted until `Backend.reset`."""


class Shadow(Protocol):
    """A sampler's next choices, made in advance."""

    def choose(self, logits: Logits) -> int:
        """Chooses a token and accepts it, which changes nothing of the sampler. Raises ComputeError."""
        ...

    def close(self) -> None:
        """Frees native memory. Idempotent."""
        ...


class Sampler(Protocol):
    """One request's sampler chain with its state."""

    seed: int
    redirected: bool
    """Whether a grammar excluded the most likely token at the last `sample`."""
    thinking: bool
    """Whether a second set, the one for thinking, was in force for the last token."""

    def sample(self, logits: Logits, watch: Sequence[int] | None = None) -> int:
        """Chooses the next token and accepts it into the chain's history. `logits` is not changed.

        With `watch` (token ids), `report` then returns what each stage did to them.
        """
        ...

    @property
    def report(self) -> StageReport:
        """Of the last `sample` that was given tokens to watch."""
        ...

    @property
    def near(self) -> Ids | None:
        """Ids that hold the most likely tokens of the last `sample`'s logits; None where it did not look for them."""
        ...

    def force(self, token: int) -> None:
        """Takes a token that was not sampled as the reply's next. Raises ComputeError where a grammar forbids it."""
        ...

    def preview(self, logits: Logits, watch: Sequence[int], k: int) -> PreviewResult:
        """What the next `sample` of these logits would draw from, at most `k` tokens of it, and what each stage does
        to `watch`. Changes neither the random state nor the history. Raises ComputeError."""
        ...

    def shadow(self) -> Shadow:
        """What `sample` would choose from here on, with the random numbers that it is going to draw.

        A drafter that uses them guesses a random choice as well as a certain one.
        """
        ...

    def n_fitting(self, tokens: Sequence[int]) -> int:
        """How many of `tokens` a grammar allows to come next, one after the other; all of them where there is none."""
        ...

    @property
    def complete(self) -> bool:
        """Whether the reply may end here: false only inside a grammar, and before the answer that it is for."""
        ...

    def ban(self, tokens: Sequence[int]) -> None:
        """These are not sampled any more."""
        ...

    def unban(self, tokens: Sequence[int]) -> None:
        """Takes back what `ban` did to these; what `SamplingParams` bans and biases stays as it says."""
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
    n_threads: int
    """Compute threads of a decode, as wanted."""
    unified: bool
    """Whether all sequences share one pool of cells, so that a prefix can be shared between them."""
    eog: frozenset[int]
    partial_removal: bool
    """Whether `truncate` can leave a part of a sequence."""
    n_window: int
    """Tokens that layers with a sliding window see; 0 where no layer has one.

    What the window hides of a sequence is left out of its state, and in one pool given to other sequences.
    """
    can_shift: bool
    """Whether `shift` works for this model."""
    batch: Batch

    def decode(self) -> Decoded:
        """Computes the rows of `batch`. Raises ComputeError."""
        ...

    def use_threads(self, n_threads: int) -> None:
        """Sets the compute threads of the next decodes; prefills use no more where these are fewer than wanted."""
        ...

    def logits(self, row: int) -> Logits:
        """The logits of a batch row that asked for them; valid until the next decode."""
        ...

    def truncate(self, seq_id: int, n_past: int) -> bool:
        """Drops the cells of a sequence from position `n_past` on; False where the model refuses a partial removal."""
        ...

    def share(self, source: int, target: int) -> None:
        """Gives the empty sequence `target` all cells of `source` too.

        Only their entries where `unified`. Between streams the cells are copied by the next decode: until then no
        state may be written to `source`, and no state of `target` can be read.
        """
        ...

    def read_state(self, seq_id: int, n_streams: int | None = None) -> State | None:
        """The cells of a sequence as bytes; None where that cannot be had.

        `n_streams`: of the context that they are for, where that is another one of the same model.
        """
        ...

    @property
    def n_streams(self) -> int:
        """How many pools of cells there are: the layout of a state depends on it."""
        ...

    def write_state(self, seq_id: int, state: State) -> bool:
        """Replaces the cells of a sequence by saved ones; False, leaving none, where they do not fit."""
        ...

    def checkpoint(self, seq_id: int) -> State | None:
        """What `rewind` needs to bring a sequence back to where it is; None where that cannot be had."""
        ...

    def rewind(self, seq_id: int, checkpoint: State, n_past: int) -> bool:
        """Takes a sequence that has gone on back to a checkpoint after `n_past` tokens; False where that fails."""
        ...

    def shift(self, seq_id: int, n_keep: int, n_discard: int) -> None:
        """Drops `n_discard` cells after the first `n_keep` and moves the rest down. Only where `can_shift`."""
        ...

    def clear(self, seq_id: int) -> None:
        """Drops all cells of a sequence."""
        ...

    def n_cells(self, seq_id: int) -> int:
        """Cells that a sequence holds, as the KV cache itself counts them."""
        ...

    def token_ids(self, name: str) -> list[int]:
        """The tokens meant by a name of `SamplingParams.force`. Raises SamplingError."""
        ...

    def sampler(self, params: SamplingParams) -> Sampler:
        """A new chain. Raises SamplingError."""
        ...

    def adapters(self, lora: Mapping[str, float] | None) -> AdapterSet:
        """The set that `SamplingParams.lora` means. Raises SamplingError."""
        ...

    def use_adapters(self, adapters: AdapterSet) -> None:
        """Computes the next decodes with this set; cells of another one must be in none of their sequences."""
        ...

    def clear_abort(self) -> None:
        """Lowers the abort flag that another thread may have raised."""
        ...

    def reset(self) -> None:
        """Makes a new context after a failure; every sequence is empty. Raises ComputeError where that fails."""
        ...
