"""The stages of a sampler chain, made from `SamplingParams`, and the tokens and texts that are banned.

Each stage is one llama_sampler. A banned text is kept out however it is cut into tokens: after each token, `TextBans`
finds the tokens that would complete one, and bans them for the next choice only.
"""

from __future__ import annotations

import ctypes
import math
from collections import Counter, deque
from collections.abc import Callable, Sequence

import numpy as np

from app.domain.sampling import SamplingParams, Stage, does_something
from app.engine.core.backend import Ids, SamplingError
from app.engine.native.library import C, Native
from app.engine.native.model import NativeModel
from app.engine.native.vocab import NativeVocab, PieceIndex

BIAS = "logit-bias"
_MIN_KEEP = 1
_MIROSTAT_M = 100
_MOST_VARIANTS = 6
_KEEPS_ORDER = frozenset({"logit-bias", "penalties", "dry", "temperature"})
"""Stages that keep the k largest logits the k largest, but for the tokens that they move."""


class TextBans:
    """Keeps texts (UTF-8) out of one reply."""

    def __init__(self, texts: Sequence[bytes], vocab: NativeVocab, index: PieceIndex) -> None:
        self._pieces = vocab.pieces
        self._index = index
        self._texts = texts
        self._always = frozenset(token for text in texts for token in index.containing(text))
        self._completing: dict[bytes, frozenset[int]] = {}
        """By the rest of a banned text: the tokens that begin with it."""
        self._longest = max(map(len, texts)) - 1
        self._tail = b""
        self.banned = self._always
        """Ids of the tokens that are banned next."""

    def push(self, tokens: Sequence[int]) -> bool:
        """Takes the next tokens of the text; returns True if `banned` has changed."""
        before = self.banned
        text = self._tail + b"".join(self._pieces[token] for token in tokens)
        self._tail = text[-self._longest :] if self._longest else b""
        found = self._always
        for banned in self._texts:
            for n in range(1, min(len(banned) - 1, len(self._tail)) + 1):
                if self._tail.endswith(banned[:n]):
                    found |= self._completed_by(banned[n:])
        self.banned = found
        return found != before

    def _completed_by(self, rest: bytes) -> frozenset[int]:
        if rest not in self._completing:
            self._completing[rest] = frozenset(self._index.starting_with(rest))
        return self._completing[rest]


def banned_tokens(model: NativeModel, params: SamplingParams) -> list[int]:
    """Ids of the tokens in `params.ban`, without texts of several tokens (`banned_texts`).

    Raises SamplingError for an id outside the vocabulary.
    """
    named = (model.token_ids(name) for name in params.ban)
    return [token for tokens in named if len(tokens) == 1 for token in tokens]


def banned_texts(model: NativeModel, params: SamplingParams) -> list[bytes]:
    """The texts to keep out, in UTF-8: those of `ban_text`, and those of `ban` that are several tokens.

    Raises SamplingError for an empty text.
    """
    if "" in params.ban_text:
        raise SamplingError("ban_text: one of the texts is empty; remove it")
    several = (name for name in params.ban if len(model.token_ids(name)) > 1)
    return [text.encode() for text in dict.fromkeys((*params.ban_text, *several))]


def ban_notices(model: NativeModel, params: SamplingParams) -> list[str]:
    """Notices for texts in `params.ban` that other tokens can still write, or that are several tokens."""
    notices: list[str] = []
    tokens = set(banned_tokens(model, params))
    covered = [text.decode() for text in banned_texts(model, params)]
    for name in params.ban:
        ids = model.token_ids(name)
        if len(ids) > 1:
            notices.append(f"{name!r} is {len(ids)} tokens: the text is banned, not the tokens")
        elif ids and not name.startswith("#") and model.vocab.pieces[ids[0]]:
            others = [each for each in _variants(name) if not any(text in each for text in covered)]
            found = [each for each in others if len(own := model.token_ids(each)) == 1 and own[0] not in tokens]
            if found:
                listed = ", ".join(map(repr, found[:_MOST_VARIANTS]))
                notices.append(f"only the token {name!r} (#{ids[0]}) is banned, not {listed}; --ban-text bans the text")
    return notices


def _variants(name: str) -> list[str]:
    """Other forms of a word: with and without a space in front, in lower case, capitalised."""
    word = name.strip()
    forms = dict.fromkeys((word, word.lower(), word.capitalize()))
    return [form for each in forms for form in (each, f" {each}") if form != name]


class TokenWindow:
    """The last `window` tokens, counted."""

    def __init__(self, window: int) -> None:
        self.window = window
        self._tokens: deque[int] = deque()
        self._counts: Counter[int] = Counter()

    def add(self, token: int) -> None:
        """Adds a token; drops the oldest one if the window is full."""
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
        """The distinct tokens in the window."""
        return np.fromiter(self._counts, np.int64, len(self._counts))


def biases(model: NativeModel, params: SamplingParams) -> dict[int, float]:
    """The bias for each token id: `logit_bias`, and minus infinity for bans and the GGUF's suppressed tokens.

    Raises SamplingError.
    """
    found: dict[int, float] = {}
    for name, bias in params.logit_bias.items():
        for token in model.token_ids(name):
            found[token] = found.get(token, 0.0) + bias
    return found | dict.fromkeys((*banned_tokens(model, params), *model.suppressed), -math.inf)


def bias_stage(n_vocab: int, biases: dict[int, float]) -> Native:
    """The stage that adds `biases` (by token id) to the logits; always the first of a chain."""
    rows = (C.llama_logit_bias * len(biases))(*biases.items())
    return C.llama_sampler_init_logit_bias(n_vocab, len(rows), rows)


def window(params: SamplingParams, n_ctx: int) -> int:
    """Number of past tokens that the penalties look at; 0 if penalties are off."""
    penalties = _last_n(params.penalty_last_n, n_ctx) if _on("penalties", params) else 0
    dry = _last_n(params.dry_penalty_last_n, n_ctx) if _on("dry", params) else 0
    return max(penalties, dry)


def keep(params: SamplingParams) -> int:
    """Number of top candidates that the chain needs; 0 if it needs the whole vocabulary."""
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
    """Creates the active stages as (name, llama_sampler), in order; the last one selects. Raises SamplingError."""
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
    return n_ctx if last_n < 0 else min(last_n, n_ctx)  # llama.cpp allocates a buffer of this many tokens


def _dry(vocab: Native, params: SamplingParams, n_ctx: int) -> Native:
    texts = [text.encode() for text in params.dry_sequence_breakers if text]
    breakers = (ctypes.c_char_p * len(texts))(*texts)
    last_n = _last_n(params.dry_penalty_last_n, n_ctx)
    strength = (params.dry_multiplier, params.dry_base, params.dry_allowed_length)
    return C.llama_sampler_init_dry(vocab, *strength, last_n, breakers, len(texts))
