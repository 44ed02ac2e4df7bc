"""The stages of a sampler chain, made from `SamplingParams`; each is one llama_sampler."""

from __future__ import annotations

import ctypes
import math
from collections import Counter, deque
from collections.abc import Callable

import numpy as np

from app.domain.sampling import SamplingParams, Stage, does_something
from app.engine.core.backend import Ids
from app.engine.native.bans import banned_tokens
from app.engine.native.bindings import C, Native
from app.engine.native.model import NativeModel


class TokenWindow:
    """The last `window` tokens, counted."""

    def __init__(self, window: int) -> None:
        self.window = window
        self._tokens: deque[int] = deque()
        self._counts: Counter[int] = Counter()

    def add(self, token: int) -> None:
        """Takes the newest token and forgets the oldest."""
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
        """Each distinct token once."""
        return np.fromiter(self._counts, np.int64, len(self._counts))


BIAS = "logit-bias"
_MIN_KEEP = 1
_MIROSTAT_M = 100
_KEEPS_ORDER = frozenset({"logit-bias", "penalties", "dry", "temperature"})
"""Stages after which the k largest logits are still among the k largest, or among the tokens that they moved."""


def biases(model: NativeModel, params: SamplingParams) -> dict[int, float]:
    """What is added to which logits: the GGUF's suppressed tokens, the bans and the biases."""
    found: dict[int, float] = {}
    for name, bias in params.logit_bias.items():
        for token in model.token_ids(name):
            found[token] = found.get(token, 0.0) + bias
    return found | dict.fromkeys((*banned_tokens(model, params), *model.suppressed), -math.inf)


def bias_stage(n_vocab: int, biases: dict[int, float]) -> Native:
    """The stage that adds `biases` to the logits; always the first of a chain."""
    rows = (C.llama_logit_bias * len(biases))(*biases.items())
    return C.llama_sampler_init_logit_bias(n_vocab, len(rows), rows)


def window(params: SamplingParams, n_ctx: int) -> int:
    """How many tokens back the penalties look, 0 where they are off."""
    penalties = _last_n(params.penalty_last_n, n_ctx) if _on("penalties", params) else 0
    dry = _last_n(params.dry_penalty_last_n, n_ctx) if _on("dry", params) else 0
    return max(penalties, dry)


def keep(params: SamplingParams) -> int:
    """Candidates that can matter to the first narrow stage; 0 where the chain needs the whole vocabulary."""
    if params.mirostat:
        return 0
    if params.temperature <= 0:
        return 1
    for stage in params.samplers:
        if stage == "top-k" and params.top_k > 0:
            return params.top_k
        dynamic = stage == "temperature" and params.dynatemp_range > 0
        if dynamic or (stage not in _KEEPS_ORDER and does_something(stage, params)):
            return 0
    return 0


def make(model: NativeModel, params: SamplingParams, n_ctx: int, seed: int) -> list[tuple[str, Native]]:
    """The stages that are on, named, in order; the last one selects. Raises SamplingError."""
    vocab, n_vocab = C.llama_model_get_vocab(model.handle), model.vocab.n_vocab
    stages: list[tuple[str, Native]] = []
    added = biases(model, params)
    if added:
        stages.append((BIAS, bias_stage(n_vocab, added)))
    if params.mirostat and params.temperature > 0:
        stages.append(("temperature", C.llama_sampler_init_temp(params.temperature)))
        tau, eta = params.mirostat_tau, params.mirostat_eta
        if params.mirostat == 1:
            return [*stages, ("mirostat", C.llama_sampler_init_mirostat(n_vocab, seed, tau, eta, _MIROSTAT_M))]
        return [*stages, ("mirostat", C.llama_sampler_init_mirostat_v2(seed, tau, eta))]
    makers: dict[str, Callable[[], Native]] = {
        "penalties": lambda: C.llama_sampler_init_penalties(
            n_vocab,
            _last_n(params.penalty_last_n, n_ctx),
            params.repeat_penalty,
            params.frequency_penalty,
            params.presence_penalty,
        ),
        "dry": lambda: _dry(vocab, params, n_ctx),
        "top-n-sigma": lambda: C.llama_sampler_init_top_n_sigma(params.top_n_sigma),
        "top-k": lambda: C.llama_sampler_init_top_k(params.top_k),
        "typical": lambda: C.llama_sampler_init_typical(params.typical_p, _MIN_KEEP),
        "top-p": lambda: C.llama_sampler_init_top_p(params.top_p, _MIN_KEEP),
        "min-p": lambda: C.llama_sampler_init_min_p(params.min_p, _MIN_KEEP),
        "xtc": lambda: C.llama_sampler_init_xtc(params.xtc_probability, params.xtc_threshold, _MIN_KEEP, seed),
        "temperature": lambda: C.llama_sampler_init_temp_ext(
            params.temperature, params.dynatemp_range, params.dynatemp_exponent
        ),
    }
    greedy = params.temperature <= 0
    for stage in params.samplers:
        if stage in makers and _on(stage, params) and (not greedy or stage in ("penalties", "dry")):
            stages.append((stage, makers[stage]()))
    if greedy:
        return [*stages, ("greedy", C.llama_sampler_init_greedy())]
    if params.adaptive_target >= 0:
        adaptive = C.llama_sampler_init_adaptive_p(params.adaptive_target, params.adaptive_decay, seed)
        return [*stages, ("adaptive-p", adaptive)]
    return [*stages, ("dist", C.llama_sampler_init_dist(seed))]


def _on(stage: Stage, params: SamplingParams) -> bool:
    return stage in params.samplers and not params.mirostat and does_something(stage, params)


def _last_n(last_n: int, n_ctx: int) -> int:
    return n_ctx if last_n < 0 else min(last_n, n_ctx)  # llama.cpp makes a buffer of that many at once


def _dry(vocab: Native, params: SamplingParams, n_ctx: int) -> Native:
    texts = [text.encode() for text in params.dry_sequence_breakers if text]
    breakers = (ctypes.c_char_p * len(texts))(*texts)
    last_n = _last_n(params.dry_penalty_last_n, n_ctx)
    strength = (params.dry_multiplier, params.dry_base, params.dry_allowed_length)
    return C.llama_sampler_init_dry(vocab, *strength, last_n, breakers, len(texts))
