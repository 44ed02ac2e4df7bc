"""The stage report: the chain run stage by stage, and what each one did to the tokens that are watched.

The random draw is known too: a twin of the `dist` stage's generator (std::mt19937, two outputs for a double, as
libstdc++'s and libc++'s generate_canonical take them) gives the number that it used.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from app.domain.trace import Draw, StageTrace
from app.engine.core.backend import StageReport
from app.engine.native.bindings import C, Native

_ROW_BYTES = 12


class Reporter:
    """Follows one chain; every draw must pass through `run` or `skip`."""

    def __init__(self, names: list[str], chain: Native, seed: int) -> None:
        self._names = names
        self._stages: list[Native] = [C.llama_sampler_chain_get(chain, i) for i in range(len(names))]
        self._twin = np.random.RandomState(seed) if names[-1] == "dist" else None
        self._n_behind = 0
        self.last = StageReport((), None)

    def skip(self) -> None:
        """Notes a draw that nobody watched; the twin catches up when it is asked."""
        self._n_behind += 1

    def run(self, array: Native, rows: npt.NDArray[np.void], watch: Sequence[int]) -> None:
        """Applies the chain to `array`, whose memory is `rows`, and reports in `last`."""
        traces: list[StageTrace] = []
        base = rows.ctypes.data
        view = rows
        for name, stage in zip(self._names, self._stages, strict=True):
            n_in = int(array.size)
            C.llama_sampler_apply(stage, ctypes.byref(array))
            start = ((ctypes.cast(array.data, ctypes.c_void_p).value or base) - base) // _ROW_BYTES
            view = rows[start : start + int(array.size)]
            traces.append(StageTrace(name, n_in, len(view), _watched(view, watch)))
        self.last = StageReport(tuple(traces), self._draw(view, int(array.selected)))

    def _draw(self, view: npt.NDArray[np.void], selected: int) -> Draw | None:
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


def _watched(view: npt.NDArray[np.void], watch: Sequence[int]) -> tuple[float, ...]:
    """Probabilities of the watched tokens among the candidates that are left."""
    logits = view["logit"].astype(np.float64)
    weights = np.exp(logits - logits.max())
    total = float(weights.sum())
    chances = dict.fromkeys(watch, 0.0)
    for i in np.flatnonzero(np.isin(view["id"], list(chances))):
        chances[int(view["id"][i])] = float(weights[i]) / total
    return tuple(chances[token] for token in watch)
