"""Stage reports: runs a chain stage by stage and records what each stage did to the watched tokens.

Also recovers the random number of a draw, with a twin of the generator in the `dist` stage: std::mt19937, two outputs
for a double, as generate_canonical of libstdc++ and libc++ takes them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from app.domain.trace import Draw, StageTrace
from app.engine.core.backend import Logits, PreviewResult, StageReport
from app.engine.native.library import C, Native

_ROW_BYTES = 12
Rows = npt.NDArray[np.void]
"""Candidates: fields id, logit, p."""


class Reporter:
    """Reports on one chain. Each draw of the chain must go through `run` or `skip`."""

    def __init__(self, names: list[str], chain: Native, seed: int) -> None:
        self._names = names
        self._stages = _stages(chain)
        self._twin = np.random.RandomState(seed) if names[-1] == "dist" else None
        self._n_behind = 0
        self.last = StageReport((), None)

    def skip(self) -> None:
        """Counts a draw without a report; the twin generator catches up at the next report."""
        self._n_behind += 1

    def follow(self, names: list[str], chain: Native) -> None:
        """Takes the new stages of the chain; its generator must be the same."""
        self._names = names
        self._stages = _stages(chain)

    def run(self, array: Native, rows: Rows, watch: Sequence[int], *, filtered: bool) -> None:
        """Applies the chain to `array`, whose memory is `rows`; leaves the report in `last`.

        `filtered`: a grammar chose the rows in `array`; it is reported as the first stage.
        """
        first = [_grammar(array, rows, watch)] if filtered else []
        traces, view = _run(self._names, self._stages, array, rows, watch)
        self.last = StageReport((*first, *traces), self._draw(view, int(array.selected)))

    def preview(
        self, chain: Native, array: Native, rows: Rows, watch: Sequence[int], k: int, *, filtered: bool = False
    ) -> PreviewResult:
        """The `k` most likely candidates that `chain`, a clone, leaves of `array`, with the report of its stages.

        Uses the clone up. `filtered`: as for `run`.
        """
        reported = [_grammar(array, rows, watch)] if filtered else []
        traces, view = _run(self._names, _stages(chain), array, rows, watch)
        reported += traces
        chances = _chances(view)
        if self._names[-1] == "greedy" and chances.any():
            return PreviewResult([(int(array.data[array.selected].id), 1.0)][:k], tuple(reported))
        best = np.lexsort((view["id"], -chances))[:k]
        after = [(int(view["id"][i]), float(chances[i])) for i in best if chances[i] > 0]
        return PreviewResult(after, tuple(reported))

    def _draw(self, view: Rows, selected: int) -> Draw | None:
        if self._twin is None:
            return None
        for _ in range(self._n_behind):
            self._double()
        self._n_behind = 0
        p = view["p"].astype(np.float64)
        low = float(p[:selected].sum())
        return Draw(self._double(), low, low + float(p[selected]))

    def _double(self) -> float:
        assert self._twin is not None
        low, high = self._twin.randint(0, 1 << 32, 2, np.uint64)
        return (int(low) + int(high) * 2.0**32) / 2.0**64


def _grammar(array: Native, rows: Rows, watch: Sequence[int]) -> StageTrace:
    n_left = int(array.size)
    return StageTrace("grammar", len(rows), n_left, _watched(rows[:n_left], watch))


def _stages(chain: Native) -> list[Native]:
    return [C.llama_sampler_chain_get(chain, i) for i in range(C.llama_sampler_chain_n(chain))]


def _run(
    names: list[str], stages: list[Native], array: Native, rows: Rows, watch: Sequence[int]
) -> tuple[list[StageTrace], Rows]:
    """Applies the stages in order; returns what each did, and the rows that are left.

    A token at minus infinity counts as cut: bans and top-n-sigma leave their tokens in the rows.
    """
    traces: list[StageTrace] = []
    base = rows.ctypes.data
    view = rows[: int(array.size)]
    n_in = _n_alive(view)
    for name, stage in zip(names, stages, strict=True):
        C.llama_sampler_apply(stage, ctypes.byref(array))
        start = ((ctypes.cast(array.data, ctypes.c_void_p).value or base) - base) // _ROW_BYTES
        view = rows[start : start + int(array.size)]
        if name == "greedy" and n_in:
            chosen = int(view["id"][array.selected])
            traces.append(StageTrace(name, n_in, 1, tuple(float(token == chosen) for token in watch)))
            continue
        n_out = _n_alive(view)
        traces.append(StageTrace(name, n_in, n_out, _watched(view, watch)))
        n_in = n_out
    return traces, view


def _n_alive(view: Rows) -> int:
    return int(np.count_nonzero(view["logit"] > -np.inf))


def _chances(view: Rows) -> npt.NDArray[np.float64]:
    """Probabilities of the candidates."""
    return _softmax(view["logit"])


def _softmax(row: Logits) -> npt.NDArray[np.float64]:
    logits = row.astype(np.float64)
    maximum = logits.max()
    if maximum == -np.inf:  # all of them are banned
        return np.zeros(len(logits))
    weights = np.exp(logits - maximum)
    return weights / float(weights.sum())


def _watched(view: Rows, watch: Sequence[int]) -> tuple[float, ...]:
    """Probabilities of the watched tokens; 0 for one that is cut."""
    chances = _chances(view)
    found = dict.fromkeys(watch, 0.0)
    for i in np.flatnonzero(np.isin(view["id"], list(found))):
        found[int(view["id"][i])] = float(chances[i])
    return tuple(found[token] for token in watch)
