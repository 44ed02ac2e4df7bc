"""One request's sampler chain, run by llama.cpp's own stages.

Where a stage keeps only the k most likely tokens, the chain gets just the candidates that can be among them: the k
largest logits and every token that a bias or penalty may move. The result is the same, at a tenth of the cost.
A grammar is asked about the chosen token first and filters the whole vocabulary only when it refuses it.
"""

from __future__ import annotations

import ctypes
import math
import secrets
from collections.abc import Callable, Sequence

import numpy as np

from app.domain.sampling import SamplingParams
from app.engine.core import topk
from app.engine.core.backend import ComputeError, Ids, Left, Logits, Shadow, StageReport
from app.engine.native import stages
from app.engine.native.bindings import C, Native
from app.engine.native.grammar import Grammar
from app.engine.native.history import TokenWindow
from app.engine.native.model import NativeModel
from app.engine.native.report import Reporter

_ROW = np.dtype([("id", "<i4"), ("logit", "<f4"), ("p", "<f4")])


class NativeSampler:
    """Owns a llama_sampler chain and, where asked for, a grammar."""

    def __init__(self, model: NativeModel, params: SamplingParams, n_ctx: int) -> None:
        """`n_ctx`: what a penalty window of -1 means. Raises SamplingError."""
        self.seed = secrets.randbits(32) % 0xFFFFFFFF if params.seed is None else params.seed
        self.resampled = False
        """Whether the grammar refused the first choice of the last `sample`."""
        self.thinking = False
        self._chain: Native = None
        self._grammar = Grammar.from_params(model, params)
        made = stages.make(model, params, n_ctx, self.seed)
        self._chain = C.llama_sampler_chain_init(C.llama_sampler_chain_default_params())
        for _, stage in made:
            C.llama_sampler_chain_add(self._chain, stage)
        self._names = [name for name, _ in made]
        self._reporter = Reporter(self._names, self._chain, self.seed)
        self._history = TokenWindow(stages.window(params, n_ctx))
        self._biases = self._own_biases = stages.biases(model, params)
        self._biased = np.array(list(self._biases), np.int64)
        self._keep = stages.keep(params)
        self._near: Ids | None = None
        n_vocab = model.vocab.n_vocab
        self._all = np.arange(n_vocab, dtype=np.int32)
        self._rows = np.zeros(n_vocab, _ROW)
        self._row_ids, self._row_logits = self._rows["id"], self._rows["logit"]
        self._first_row = self._rows.ctypes.data_as(C.llama_token_data_p)
        self._array = C.llama_token_data_array(self._first_row, n_vocab, -1, False)

    def sample(self, logits: Logits, watch: Sequence[int] | None = None) -> int:
        """See `app.engine.core.backend.Sampler`. Raises ComputeError where the logits are not numbers."""
        token = self._choose(logits, watch)
        self.resampled = self._grammar is not None and not self._grammar.allows(token)
        if self._grammar is not None and self.resampled:
            self._fill(logits, None)
            self._grammar.filter(self._array)
            allowed = np.ascontiguousarray(self._rows["logit"])
            if not np.isfinite(allowed).any():
                raise ComputeError("the grammar allows no token here: it can neither go on nor end")
            token = self._choose(allowed, watch)
            if watch is not None:
                self._reporter.filtered(allowed, watch)
            self._near = None  # found among what the grammar left
        self.force(token)
        return token

    def force(self, token: int) -> None:
        """See `app.engine.core.backend.Sampler`."""
        if self._grammar is not None:
            if not self._grammar.allows(token):
                raise ComputeError("the grammar does not allow what comes here")
            self._grammar.accept(token)
        C.llama_sampler_accept(self._chain, token)
        self._history.add(token)

    def foresee(self, logits: Logits, watch: Sequence[int], k: int) -> Left:
        """See `app.engine.core.backend.Sampler`: a clone of the chain has the same random state and is thrown away.

        With a grammar, of what it allows.
        """
        if not math.isfinite(float(logits.max())):
            raise ComputeError("no token has a finite logit")
        self._fill(logits, None)
        if self._grammar is not None:
            self._grammar.filter(self._array)
            allowed = np.flatnonzero(np.isfinite(self._rows["logit"]))
            self._rows[: len(allowed)] = self._rows[allowed]
            self._array.size = len(allowed)
        if not self._array.size:
            raise ComputeError("the grammar allows no token")
        clone = C.llama_sampler_clone(self._chain)
        try:
            filtered = self._grammar is not None
            return self._reporter.foresee(clone, self._array, self._rows, watch, k, filtered=filtered)
        finally:
            C.llama_sampler_free(clone)

    def shadow(self) -> Shadow:
        """See `app.engine.core.backend.Sampler`."""
        return _Shadow(C.llama_sampler_clone(self._chain), self._guess)

    def ban(self, tokens: Sequence[int]) -> None:
        """See `app.engine.core.backend.Sampler`."""
        self._bias(self._biases | dict.fromkeys(tokens, -math.inf))

    def unban(self, tokens: Sequence[int]) -> None:
        """See `app.engine.core.backend.Sampler`."""
        others = {token: bias for token, bias in self._biases.items() if token not in tokens}
        self._bias(others | {token: bias for token, bias in self._own_biases.items() if token in tokens})

    def _bias(self, biases: dict[int, float]) -> None:
        """Makes the first stage anew, or removes it; the others keep their state."""
        self._biases, self._biased = biases, np.array(list(biases), np.int64)
        others = [C.llama_sampler_chain_remove(self._chain, 0) for _ in self._names]
        if self._names[0] == stages.BIAS:
            C.llama_sampler_free(others.pop(0))
            del self._names[0]
        if biases:
            others.insert(0, stages.bias_stage(len(self._all), biases))
            self._names.insert(0, stages.BIAS)
        for stage in others:
            C.llama_sampler_chain_add(self._chain, stage)
        self._reporter.follow(self._names, self._chain)

    def _choose(self, logits: Logits, watch: Sequence[int] | None) -> int:
        self._take(logits, every=watch is not None)
        if watch is None:
            C.llama_sampler_apply(self._chain, ctypes.byref(self._array))
            self._reporter.skip()
        else:
            self._reporter.run(self._array, self._rows, watch)
        return self._chosen()

    def _guess(self, chain: Native, logits: Logits, before: Sequence[int]) -> int:
        """What a clone of the chain chooses, which has chosen `before` too. Raises ComputeError."""
        self._take(logits, also=before)
        C.llama_sampler_apply(chain, ctypes.byref(self._array))
        token = self._chosen()
        C.llama_sampler_accept(chain, token)
        return token

    def _chosen(self) -> int:
        array = self._array
        if not 0 <= array.selected < array.size:
            raise ComputeError("the sampler chain selected nothing")
        chosen = array.data[array.selected]
        if chosen.logit == -math.inf:
            raise ComputeError("every token that may come is banned")
        return int(chosen.id)

    @property
    def report(self) -> StageReport:
        """What the stages did in the last `sample` that was given tokens to watch."""
        return self._reporter.last

    @property
    def near(self) -> Ids | None:
        """See `app.engine.core.backend.Sampler`."""
        return self._near

    def _candidates(self, logits: Logits, also: Sequence[int]) -> tuple[Ids | None, float]:
        """The tokens that the chain can choose from, None where that is all, and the largest logit."""
        self._near = None
        if not self._keep:
            return None, logits.item(logits.argmax())
        moved = self._history.ids()
        if also and self._history.window:
            moved = np.union1d(moved, also)
        if len(self._biased):
            moved = np.union1d(moved, self._biased)
        found, threshold, maximum = topk.candidates(logits, self._keep + len(moved))
        self._near = found
        below = moved[logits[moved] < threshold]
        return (np.concatenate([found, below]) if len(below) else found), maximum

    def _take(self, logits: Logits, *, every: bool = False, also: Sequence[int] = ()) -> None:
        """Fills the array with what the chain can choose from, or with `every` token. Raises ComputeError.

        `also`: tokens that penalties look back on beside those of the history.
        """
        ids, maximum = self._candidates(logits, also)
        if not math.isfinite(maximum):
            raise ComputeError("no token has a finite logit")
        self._fill(logits, None if every else ids)

    def _fill(self, logits: Logits, ids: Ids | None) -> None:
        n = len(self._all) if ids is None else len(ids)
        self._row_ids[:n] = self._all if ids is None else ids
        self._row_logits[:n] = logits if ids is None else logits[ids]
        array = self._array
        array.data = self._first_row  # XTC moves the pointer
        array.size, array.selected, array.sorted = n, -1, False

    def accept(self, tokens: Sequence[int]) -> None:
        """See `app.engine.core.backend.Sampler`; only what a penalty looks back on is passed on."""
        if self._history.window:
            for token in tokens[-self._history.window :]:
                C.llama_sampler_accept(self._chain, token)
                self._history.add(token)

    def close(self) -> None:
        """Frees the chain, its stages and the grammar. Idempotent."""
        if self._chain:
            C.llama_sampler_free(self._chain)
            self._chain = None
        if self._grammar:
            self._grammar.close()
            self._grammar = None


class _Shadow:
    """See `app.engine.core.backend.Shadow`: a clone of the chain has the same random state."""

    def __init__(self, chain: Native, guess: Callable[[Native, Logits, Sequence[int]], int]) -> None:
        self._chain = chain
        self._guess = guess
        self._chosen: list[int] = []

    def choose(self, logits: Logits) -> int:
        token = self._guess(self._chain, logits, self._chosen)
        self._chosen.append(token)
        return token

    def close(self) -> None:
        if self._chain:
            C.llama_sampler_free(self._chain)
            self._chain = None
