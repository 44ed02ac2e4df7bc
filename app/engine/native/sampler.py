"""One request's sampler chain, run by llama.cpp's own stages in their canonical order.

Where a stage keeps only the k most likely tokens, the chain gets just the candidates that can be among them: the k
largest logits and every token that a penalty may move. The result is the same, at a tenth of the cost.
"""

from __future__ import annotations

import ctypes
import math
import secrets
from collections import Counter, deque
from collections.abc import Sequence

import numpy as np

from app.domain.sampling import SamplingParams
from app.engine.core.backend import ComputeError, Logits
from app.engine.core.topk import Ids, TopK
from app.engine.native.bindings import C, Native
from app.engine.native.model import NativeModel

_ROW = np.dtype([("id", "<i4"), ("logit", "<f4"), ("p", "<f4")])
_MIN_KEEP = 1


class NativeSampler:
    """Owns a llama_sampler chain."""

    def __init__(self, model: NativeModel, params: SamplingParams, n_ctx: int) -> None:
        """`n_ctx`: what a penalty window of -1 means."""
        self.seed = secrets.randbits(32) % 0xFFFFFFFF if params.seed is None else params.seed
        self._chain: Native = C.llama_sampler_chain_init(C.llama_sampler_chain_default_params())
        self._history = _History(_window(params, n_ctx))
        suppressed = model.suppressed
        self._moved = np.array(suppressed, np.int64)
        self._keep = _keep(params)
        """Candidates that the chain's first narrow stage keeps; 0 where it has none and needs the whole vocabulary."""
        for stage in _stages(model, params, n_ctx, self.seed):
            C.llama_sampler_chain_add(self._chain, stage)
        self._top_k = TopK()
        n_vocab = model.vocab.n_vocab
        self._all = np.arange(n_vocab, dtype=np.int32)
        self._rows = np.zeros(n_vocab, _ROW)
        self._first_row = self._rows.ctypes.data_as(C.llama_token_data_p)
        self._array = C.llama_token_data_array(self._first_row, n_vocab, -1, False)

    def sample(self, logits: Logits) -> int:
        """See `app.engine.core.backend.Sampler`. Raises ComputeError where the logits are not numbers."""
        maximum = float(logits.max())
        if not math.isfinite(maximum):
            raise ComputeError("the model's logits are not finite numbers")
        self._fill(logits, self._candidates(logits, maximum))
        array = self._array
        C.llama_sampler_apply(self._chain, ctypes.byref(array))
        if not 0 <= array.selected < array.size:
            raise ComputeError("the sampler chain selected nothing")
        token = int(array.data[array.selected].id)
        C.llama_sampler_accept(self._chain, token)
        self._history.add(token)
        return token

    def _candidates(self, logits: Logits, maximum: float) -> Ids | None:
        if not self._keep:
            return None
        moved = np.concatenate([self._moved, self._history.ids()])
        found = self._top_k.candidates(logits, maximum, self._keep + len(moved))
        return np.union1d(found, moved) if len(moved) else found

    def _fill(self, logits: Logits, ids: Ids | None) -> None:
        n = len(self._all) if ids is None else len(ids)
        rows = self._rows[:n]
        rows["id"] = self._all if ids is None else ids
        rows["logit"] = logits if ids is None else logits[ids]
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
        """Frees the chain and its stages. Idempotent."""
        if self._chain:
            C.llama_sampler_free(self._chain)
            self._chain = None


class _History:
    """The distinct tokens of the last `window`: those that penalties and DRY may move."""

    def __init__(self, window: int) -> None:
        self.window = window
        self._tokens: deque[int] = deque()
        self._counts: Counter[int] = Counter()

    def add(self, token: int) -> None:
        if not self.window:
            return
        self._tokens.append(token)
        self._counts[token] += 1
        if len(self._tokens) > self.window:
            oldest = self._tokens.popleft()
            self._counts[oldest] -= 1
            if not self._counts[oldest]:
                del self._counts[oldest]

    def ids(self) -> Ids:
        return np.fromiter(self._counts, np.int64, len(self._counts))


def _penalises(params: SamplingParams) -> bool:
    penalties = (params.repeat_penalty != 1.0, params.frequency_penalty != 0.0, params.presence_penalty != 0.0)
    return params.penalty_last_n != 0 and any(penalties)


def _window(params: SamplingParams, n_ctx: int) -> int:
    windows = [0]
    if _penalises(params):
        windows.append(n_ctx if params.penalty_last_n < 0 else params.penalty_last_n)
    if params.dry_multiplier > 0:
        windows.append(n_ctx if params.dry_penalty_last_n < 0 else params.dry_penalty_last_n)
    return max(windows)


def _keep(params: SamplingParams) -> int:
    if params.temperature <= 0:
        return 1
    return params.top_k if params.top_n_sigma <= 0 else 0


def _stages(model: NativeModel, params: SamplingParams, n_ctx: int, seed: int) -> list[Native]:
    """llama.cpp's canonical order (common/sampling.cpp); stages that are off are left out."""
    vocab, n_vocab = C.llama_model_get_vocab(model.handle), model.vocab.n_vocab
    stages: list[Native] = []
    if model.suppressed:
        biases = (C.llama_logit_bias * len(model.suppressed))(*((token, -math.inf) for token in model.suppressed))
        stages.append(C.llama_sampler_init_logit_bias(n_vocab, len(biases), biases))
    if _penalises(params):
        last_n = n_ctx if params.penalty_last_n < 0 else params.penalty_last_n
        stages.append(
            C.llama_sampler_init_penalties(
                n_vocab, last_n, params.repeat_penalty, params.frequency_penalty, params.presence_penalty
            )
        )
    if params.dry_multiplier > 0:
        last_n = n_ctx if params.dry_penalty_last_n < 0 else params.dry_penalty_last_n
        texts = [text.encode() for text in params.dry_sequence_breakers if text]
        breakers = (ctypes.c_char_p * len(texts))(*texts)
        dry = (params.dry_multiplier, params.dry_base, params.dry_allowed_length, last_n)
        stages.append(C.llama_sampler_init_dry(vocab, *dry, breakers, len(texts)))
    if params.temperature <= 0:
        return [*stages, C.llama_sampler_init_greedy()]
    if params.top_n_sigma > 0:
        stages.append(C.llama_sampler_init_top_n_sigma(params.top_n_sigma))
    if params.top_k > 0:
        stages.append(C.llama_sampler_init_top_k(params.top_k))
    if params.typical_p < 1:
        stages.append(C.llama_sampler_init_typical(params.typical_p, _MIN_KEEP))
    if params.top_p < 1:
        stages.append(C.llama_sampler_init_top_p(params.top_p, _MIN_KEEP))
    if params.min_p > 0:
        stages.append(C.llama_sampler_init_min_p(params.min_p, _MIN_KEEP))
    if params.xtc_probability > 0:
        stages.append(C.llama_sampler_init_xtc(params.xtc_probability, params.xtc_threshold, _MIN_KEEP, seed))
    return [*stages, C.llama_sampler_init_temp(params.temperature), C.llama_sampler_init_dist(seed)]
