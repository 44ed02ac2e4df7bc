"""The sampler chain of one request, made of llama.cpp's own stages.

If a stage keeps only the k most likely tokens, the chain gets only candidates that can be among them: the k largest
logits, and every token that a bias or penalty may move. The result is the same at a tenth of the cost. A grammar comes
before the chain: the stages see only the tokens that it allows.
"""

from __future__ import annotations

import ctypes
import math
import secrets
from collections.abc import Callable, Sequence

import numpy as np

from app.domain.sampling import SamplingParams
from app.engine.core import topk
from app.engine.core.backend import ComputeError, Ids, Logits, PreviewResult, Shadow, StageReport
from app.engine.grammar.matcher import Mask, Matcher
from app.engine.native import stages
from app.engine.native.library import C, Native
from app.engine.native.model import NativeModel
from app.engine.native.report import Reporter
from app.engine.native.stages import TextBans, TokenWindow, banned_texts

_FEW = 1024
"""Up to this many allowed tokens go to the chain without a search for the best of them."""
_TEXT_TOKENS = 256
"""Last tokens of a prompt in which a banned text may begin."""
_ROW = np.dtype([("id", "<i4"), ("logit", "<f4"), ("p", "<f4")])


class NativeSampler:
    """Implements `app.engine.core.backend.Sampler`; owns a llama_sampler chain and the state of a grammar."""

    def __init__(self, model: NativeModel, params: SamplingParams, n_ctx: int) -> None:
        """`n_ctx`: the penalty window for -1. Raises SamplingError."""
        self.seed = secrets.randbits(32) % 0xFFFFFFFF if params.seed is None else params.seed
        self.redirected = False
        self.thinking = False
        self._chain: Native = None
        self._grammar = model.grammars.matcher(params)
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
        self._moves = "xtc" in self._names
        """True if a stage moves the pointer to the candidates."""
        self._near: Ids | None = None
        n_vocab = model.vocab.n_vocab
        self._all = np.arange(n_vocab, dtype=np.int32)
        self._rows = np.zeros(n_vocab, _ROW)
        self._row_ids, self._row_logits = self._rows["id"], self._rows["logit"]
        self._first_row = self._rows.ctypes.data_as(C.llama_token_data_p)
        self._array = C.llama_token_data_array(self._first_row, n_vocab, -1, False)
        texts = banned_texts(model, params)
        self._texts = TextBans(texts, model.vocab, model.pieces) if texts else None
        if self._texts:
            self._rebias()

    def sample(self, logits: Logits, watch: Sequence[int] | None = None) -> int:
        """Implements `Sampler.sample`. Raises ComputeError if no token can be chosen."""
        mask = self._grammar.mask() if self._grammar else None
        self.redirected = mask is not None and not mask[logits.argmax()]
        token = self._choose(logits, mask, watch)
        if mask is not None:
            self._near = None  # these are the largest among the allowed tokens only
        self.force(token)
        return token

    def force(self, token: int) -> None:
        """Implements `Sampler.force`."""
        if self._grammar and not self._grammar.accept(token):
            raise ComputeError("the grammar does not allow the next token")
        C.llama_sampler_accept(self._chain, token)
        self._history.add(token)
        self._follow_texts((token,))

    def preview(self, logits: Logits, watch: Sequence[int], k: int) -> PreviewResult:
        """Implements `Sampler.preview`: a clone of the chain has the same random state and is thrown away."""
        mask = self._grammar.mask() if self._grammar else None
        self._take(logits, mask, every=True)
        clone = C.llama_sampler_clone(self._chain)
        try:
            return self._reporter.preview(clone, self._array, self._rows, watch, k, filtered=mask is not None)
        finally:
            C.llama_sampler_free(clone)

    def n_fitting(self, tokens: Sequence[int]) -> int:
        """Implements `Sampler.n_fitting`."""
        return self._grammar.n_fitting(tokens) if self._grammar else len(tokens)

    @property
    def complete(self) -> bool:
        """Implements `Sampler.complete`."""
        return self._grammar is None or self._grammar.complete

    def shadow(self) -> Shadow:
        """Implements `Sampler.shadow`."""
        return _Shadow(C.llama_sampler_clone(self._chain), self._grammar and self._grammar.copy(), self._guess)

    def ban(self, tokens: Sequence[int]) -> None:
        """Implements `Sampler.ban`."""
        self._bias(self._biases | dict.fromkeys(tokens, -math.inf))

    def unban(self, tokens: Sequence[int]) -> None:
        """Implements `Sampler.unban`."""
        others = {token: bias for token, bias in self._biases.items() if token not in tokens}
        self._bias(others | {token: bias for token, bias in self._own_biases.items() if token in tokens})

    def _bias(self, biases: dict[int, float]) -> None:
        self._biases = biases
        self._rebias()

    def _follow_texts(self, tokens: Sequence[int]) -> None:
        if self._texts and self._texts.push(tokens):
            self._rebias()

    def _rebias(self) -> None:
        """Replaces or removes the bias stage, which is the first; the others keep their state."""
        biases = self._biases | dict.fromkeys(self._texts.banned if self._texts else (), -math.inf)
        self._biased = np.array(list(biases), np.int64)
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

    def _choose(self, logits: Logits, mask: Mask | None, watch: Sequence[int] | None) -> int:
        self._take(logits, mask, every=watch is not None)
        if watch is None:
            C.llama_sampler_apply(self._chain, ctypes.byref(self._array))
            self._reporter.skip()
        else:
            self._reporter.run(self._array, self._rows, watch, filtered=mask is not None)
        return self._chosen()

    def _guess(self, chain: Native, grammar: Matcher | None, logits: Logits, before: Sequence[int]) -> int:
        """The choice of a clone of the chain that has chosen `before` already. Raises ComputeError."""
        self._take(logits, grammar.mask() if grammar else None, also=before)
        C.llama_sampler_apply(chain, ctypes.byref(self._array))
        token = self._chosen()
        C.llama_sampler_accept(chain, token)
        if grammar:
            grammar.accept(token)
        return token

    def _chosen(self) -> int:
        array = self._array
        if not 0 <= array.selected < array.size:
            raise ComputeError("the sampler chain selected nothing")
        at: int = array.selected
        if self._moves:
            at += (ctypes.addressof(array.data.contents) - ctypes.addressof(self._first_row.contents)) // _ROW.itemsize
        if self._row_logits.item(at) == -math.inf:
            raise ComputeError("every candidate for the next token is banned")
        return self._row_ids.item(at)

    @property
    def report(self) -> StageReport:
        """Implements `Sampler.report`."""
        return self._reporter.last

    @property
    def near(self) -> Ids | None:
        """Implements `Sampler.near`."""
        return self._near

    def _candidates(self, logits: Logits, also: Sequence[int]) -> tuple[Ids | None, float]:
        """(ids that the chain can choose from, None for all; the largest logit)."""
        self._near = None
        if not self._keep:
            return None, logits.item(logits.argmax())
        if not self._history.window and not len(self._biased):  # after a decode the caches are cold: spare small arrays
            self._near, _, maximum = topk.candidates(logits, self._keep)
            return self._near, maximum
        moved = self._history.ids()
        if also and self._history.window:
            moved = np.union1d(moved, also)
        if len(self._biased):
            moved = np.union1d(moved, self._biased)
        found, threshold, maximum = topk.candidates(logits, self._keep + len(moved))
        self._near = found
        below = moved[logits[moved] < threshold]
        return (np.concatenate([found, below]) if len(below) else found), maximum

    def _take(self, logits: Logits, mask: Mask | None, *, every: bool = False, also: Sequence[int] = ()) -> None:
        """Fills the array with the candidates of the chain, or with `every` token. Raises ComputeError.

        `mask`: the tokens that a grammar allows. `also`: tokens that count as history for the penalties.
        """
        if mask is not None:
            ids, maximum = self._allowed(logits, mask, every=every, also=also)
        else:
            ids, maximum = self._candidates(logits, also)
            ids = None if every else ids
        if not math.isfinite(maximum):
            raise ComputeError("no token has a finite logit")
        n = len(self._all) if ids is None else len(ids)
        self._row_ids[:n] = self._all if ids is None else ids
        self._row_logits[:n] = logits if ids is None else logits[ids]
        array = self._array
        if self._moves:
            array.data = self._first_row
        array.size, array.selected, array.sorted = n, -1, False

    def _allowed(self, logits: Logits, mask: Mask, *, every: bool, also: Sequence[int]) -> tuple[Ids, float]:
        """(candidates that the grammar allows, the largest logit among them)."""
        n_allowed = np.count_nonzero(mask)
        if not n_allowed:
            raise ComputeError("the grammar allows no token here: it can neither continue nor end")
        if every or not self._keep or n_allowed <= _FEW:
            allowed = mask.nonzero()[0]
            return allowed, float(logits[allowed].max())
        masked = np.where(mask, logits, np.float32(-np.inf))
        found, maximum = self._candidates(masked, also)
        assert found is not None
        return found[mask[found]], maximum

    def accept(self, tokens: Sequence[int]) -> None:
        """Implements `Sampler.accept`. Passes on only the tokens that a penalty can see."""
        if self._history.window:
            for token in tokens[-self._history.window :]:
                C.llama_sampler_accept(self._chain, token)
                self._history.add(token)
        self._follow_texts(tokens[-_TEXT_TOKENS:])

    def close(self) -> None:
        """Frees the chain and its stages. Idempotent."""
        if self._chain:
            C.llama_sampler_free(self._chain)
            self._chain = None


_Guess = Callable[[Native, Matcher | None, Logits, Sequence[int]], int]


class _Shadow:
    """Implements `app.engine.core.backend.Shadow`: a clone of the chain has the same random state."""

    def __init__(self, chain: Native, grammar: Matcher | None, guess: _Guess) -> None:
        self._chain = chain
        self._grammar = grammar
        self._guess = guess
        self._chosen: list[int] = []

    def choose(self, logits: Logits) -> int:
        token = self._guess(self._chain, self._grammar, logits, self._chosen)
        self._chosen.append(token)
        return token

    def close(self) -> None:
        if self._chain:
            C.llama_sampler_free(self._chain)
            self._chain = None
