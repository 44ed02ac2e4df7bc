"""A backend whose logits come from a table: the loop is tested exactly, in milliseconds, without a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from app.domain.sampling import SamplingParams
from app.domain.trace import StageTrace
from app.engine.core.backend import AdapterSet, ComputeError, Decoded, Logits, PreviewResult, SamplingError, StageReport
from app.engine.core.batch import Batch

EOG = 0
HIDDEN = 255
"""In a sequence: a cell that a state had not, because the window hid it."""


class ToySampler:
    """Greedy; remembers the calls."""

    def __init__(self, params: SamplingParams) -> None:
        self.params = params
        self.seed = params.seed or 7
        self.accepted: list[int] = []
        self.chosen: list[int] = []
        """Those of them that it sampled or that were forced."""
        self.closed = False
        self.redirected = False
        self.thinking = False
        self.report = StageReport((), None)
        self.near = None
        self.banned: list[int] = []

    def sample(self, logits: Logits, watch: Sequence[int] | None = None) -> int:
        token = self.best(logits)
        self.force(token)
        return token

    def preview(self, logits: Logits, watch: Sequence[int], k: int) -> PreviewResult:
        token = self.best(logits)
        stage = StageTrace("greedy", len(logits), 1, tuple(float(each == token) for each in watch))
        return PreviewResult([(token, 1.0)], (stage,))

    def shadow(self) -> ToyShadow:
        return ToyShadow(self)

    def n_fitting(self, tokens: Sequence[int]) -> int:
        return len(tokens)

    @property
    def complete(self) -> bool:
        return True

    def ban(self, tokens: Sequence[int]) -> None:
        self.banned += tokens

    def unban(self, tokens: Sequence[int]) -> None:
        self.banned = [token for token in self.banned if token not in tokens]

    def best(self, logits: Logits) -> int:
        allowed = logits.copy()
        allowed[self.banned] = -np.inf
        return int(allowed.argmax())

    def force(self, token: int) -> None:
        self.accepted.append(token)
        self.chosen.append(token)

    def accept(self, tokens: Sequence[int]) -> None:
        self.accepted += tokens

    def close(self) -> None:
        self.closed = True


class ToyShadow:
    """Chooses what its sampler would."""

    def __init__(self, sampler: ToySampler) -> None:
        self._sampler = sampler

    def choose(self, logits: Logits) -> int:
        return self._sampler.best(logits)

    def close(self) -> None:
        return


class ToyBackend:
    """Checks what llama.cpp checks: positions continue, sequences exist, rows fit.

    `next_token` maps a whole sequence to the token that it makes most likely. `script` holds what the next decodes
    are to return in place of DONE (a Decoded or an exception).
    """

    def __init__(
        self,
        next_token: Callable[[list[int]], int] = lambda tokens: (tokens[-1] + 1) % 16,
        *,
        n_vocab: int = 16,
        n_ctx: int = 64,
        n_slots: int = 2,
        n_batch: int = 32,
        unified: bool = False,
        n_window: int = 0,
    ) -> None:
        self.unified = unified
        self.n_vocab, self.n_ctx, self.n_slots = n_vocab, n_ctx, n_slots
        self.n_threads = self.n_threads_now = 4
        self.eog = frozenset({EOG})
        self.batch = Batch(n_batch, max(16, n_slots))
        self.next_token = next_token
        self.cells: dict[int, list[int]] = {i: [] for i in range(n_slots)}
        self._identities: dict[int, list[object]] = {i: [] for i in range(n_slots)}
        """Of each cell; the same object in two sequences is one cell."""
        self.script: list[Decoded | ComputeError] = []
        self.partial_removal = True
        self.n_window = n_window
        self.lent: set[int] = set()
        """Streams that the next decode copies."""
        self.can_shift = True
        self.states_fit = self.can_checkpoint = True
        self.no_numbers = False
        """Whether every logit is NaN."""
        self.own_adapters: AdapterSet = ()
        self.adapters_now: AdapterSet = ()
        self.computed_with: list[AdapterSet] = []
        """Of each decode."""
        self.batches: list[list[tuple[int, list[int]]]] = []
        """Of each decode: (seq_id, tokens) in the order of rows."""
        self.samplers: list[ToySampler] = []
        self.n_resets = 0
        self._rows: dict[int, Logits] = {}

    def decode(self) -> Decoded:
        outcome = self.script.pop(0) if self.script else Decoded.DONE
        if isinstance(outcome, ComputeError):
            raise outcome
        if outcome is Decoded.NO_SLOT:
            return outcome
        self.lent.clear()
        self._rows.clear()
        rows: list[tuple[int, list[int]]] = []
        for i in range(self.batch.n):
            seq_id, token = int(self.batch.seq_ids[i]), int(self.batch.tokens[i])
            cells = self.cells[seq_id]
            assert int(self.batch.positions[i]) == len(cells), "positions must continue the sequence"
            assert len(cells) < self.n_ctx, "the sequence is full"
            assert not self.n_window or HIDDEN not in cells[1 - self.n_window :], "a cell in view was left out"
            self._identities_of(seq_id).append(object())
            cells.append(token)
            if rows and rows[-1][0] == seq_id:
                rows[-1][1].append(token)
            else:
                rows.append((seq_id, [token]))
            if self.batch.outputs[i]:
                self._rows[i] = self._logits(cells)
        self.batches.append(rows)
        self.computed_with.append(self.adapters_now)
        return outcome

    def use_threads(self, n_threads: int) -> None:
        self.n_threads_now = n_threads

    def _logits(self, cells: list[int]) -> Logits:
        logits = -np.arange(self.n_vocab, dtype=np.float32)
        logits[self.next_token(cells)] = 5.0
        return np.full_like(logits, np.nan) if self.no_numbers else logits

    def logits(self, row: int) -> Logits:
        return self._rows[row]

    def truncate(self, seq_id: int, n_past: int) -> bool:
        if not self.partial_removal and 0 < n_past < len(self.cells[seq_id]):
            return False
        del self.cells[seq_id][n_past:]
        return True

    def share(self, source: int, target: int) -> None:
        assert not self.cells[target]
        self.cells[target] = list(self.cells[source])
        if self.unified:
            self._identities[target] = list(self._identities_of(source))
        else:
            self.lent |= {source, target}

    def same_cell(self, one: int, other: int, at: int) -> bool:
        """Whether two sequences hold the very same cell at a position."""
        a, b = self._identities_of(one)[at : at + 1], self._identities_of(other)[at : at + 1]
        return bool(a and b and a[0] is b[0])

    def _identities_of(self, seq_id: int) -> list[object]:
        """Those of its cells: what was cut is forgotten, what came by a state is new."""
        known, n = self._identities[seq_id], len(self.cells[seq_id])
        del known[n:]
        known += [object() for _ in range(n - len(known))]
        return known

    def read_state(self, seq_id: int, n_streams: int | None = None) -> npt.NDArray[np.uint8] | None:
        cells = self.cells[seq_id]
        n_hidden = max(0, len(cells) - self.n_window) if self.n_window else 0
        return np.array([HIDDEN] * n_hidden + cells[n_hidden:], np.uint8) if cells else None

    @property
    def n_streams(self) -> int:
        return 1 if self.unified else self.n_slots

    def write_state(self, seq_id: int, state: npt.NDArray[np.uint8]) -> bool:
        assert seq_id not in self.lent, "what is still to be copied must stay"
        self.cells[seq_id] = state.tolist() if self.states_fit else []
        return self.states_fit

    def checkpoint(self, seq_id: int) -> npt.NDArray[np.uint8] | None:
        return np.array(self.cells[seq_id], np.uint8) if self.can_checkpoint else None

    def rewind(self, seq_id: int, checkpoint: npt.NDArray[np.uint8], n_past: int) -> bool:
        assert len(checkpoint) == n_past
        assert self.cells[seq_id][:n_past] == checkpoint.tolist(), "what can be cut must be there still"
        if self.states_fit:
            del self.cells[seq_id][n_past:]
        return self.states_fit

    def shift(self, seq_id: int, n_keep: int, n_discard: int) -> None:
        assert self.can_shift
        del self.cells[seq_id][n_keep : n_keep + n_discard]

    def clear(self, seq_id: int) -> None:
        self.cells[seq_id].clear()

    def n_cells(self, seq_id: int) -> int:
        return len(self.cells[seq_id])

    def token_ids(self, name: str) -> list[int]:
        return [int(name.removeprefix("#"))]

    def sampler(self, params: SamplingParams) -> ToySampler:
        if params.grammar == "wrong":
            raise SamplingError("the grammar is wrong at line 1, column 1")
        self.samplers.append(ToySampler(params))
        return self.samplers[-1]

    def adapters(self, lora: Mapping[str, float] | None) -> AdapterSet:
        if lora is None:
            return self.own_adapters
        if "nowhere" in lora:
            raise SamplingError("the model has no adapter `nowhere`: it has none")
        return tuple(sorted((name, scale) for name, scale in lora.items() if scale))

    def use_adapters(self, adapters: AdapterSet) -> None:
        self.adapters_now = adapters

    def clear_abort(self) -> None:
        return

    def reset(self) -> None:
        self.n_resets += 1
        self.cells = {i: [] for i in range(self.n_slots)}
