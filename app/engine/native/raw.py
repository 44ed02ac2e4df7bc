"""Measures the model alone, as llama-bench does: prompt processing and text generation.

Follows tools/llama-bench/llama-bench.cpp (test_prompt, test_gen): random tokens, a context that is just large enough,
logical batches of 2,048, one synchronize for each generated token and one at the end of a prompt. Samples nothing.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Generator

import msgspec
import numpy as np

from app.domain.model import LoadOptions
from app.engine.core.backend import ComputeError
from app.engine.native import library
from app.engine.native.context import FLASH, KV_TYPES
from app.engine.native.library import C, Native
from app.engine.native.model import NativeModel

_N_BATCH = 2048


class RawRun(msgspec.Struct, frozen=True):
    """One measurement: `n_prompt` tokens at once or `n_gen` one by one, after `depth` other tokens."""

    n_prompt: int
    n_gen: int
    depth: int = 0


def measure(
    model: NativeModel,
    options: LoadOptions,
    n_threads: int,
    run: RawRun,
    *,
    warm_up: bool,
    stopped: Callable[[], bool],
) -> Generator[float]:
    """Yields the seconds of each repetition, without end.

    Raises ComputeError, also if `stopped` returns True between two decodes.
    """
    context = _context(model, options, n_threads, run)
    try:
        tokens = _Tokens(model, context, stopped)
        memory = C.llama_get_memory(context)
        if warm_up:
            tokens.prompt(run.n_prompt) if run.n_prompt else tokens.generate(1)
        C.llama_memory_clear(memory, False)
        while True:
            # Keep the tokens below the depth for the next repetition, if the model can remove the rest.
            if not run.depth or not C.llama_memory_seq_rm(memory, 0, run.depth, -1):
                C.llama_memory_clear(memory, False)
            if run.depth and C.llama_memory_seq_pos_max(memory, 0) < 0:
                tokens.prompt(run.depth)
            began = time.perf_counter()
            tokens.prompt(run.n_prompt) if run.n_prompt else tokens.generate(run.n_gen)
            yield time.perf_counter() - began
    finally:
        C.llama_free(context)


def _context(model: NativeModel, options: LoadOptions, n_threads: int, run: RawRun) -> Native:
    library.log_mark()
    params = C.llama_context_default_params()
    params.n_ctx = run.n_prompt + run.n_gen + run.depth
    params.n_batch, params.n_ubatch = _N_BATCH, options.n_ubatch
    params.n_threads = n_threads
    params.n_threads_batch = options.n_threads_batch or n_threads
    params.flash_attn_type = FLASH[options.flash_attn]
    params.type_k = params.type_v = KV_TYPES[options.kv_type]
    params.swa_full = False
    context = C.llama_init_from_model(model.handle, params)
    if not context:
        raise ComputeError(library.last_errors() or "llama.cpp could not make a context")
    return context


class _Tokens:
    """Decodes random tokens, in the two ways that are measured."""

    def __init__(self, model: NativeModel, context: Native, stopped: Callable[[], bool]) -> None:
        self._context = context
        self._stopped = stopped
        self._n_vocab = model.vocab.n_vocab
        self._bos = model.vocab.bos if model.vocab.add_bos else None
        self._random = np.random.default_rng(0)
        self._row = np.zeros(_N_BATCH, np.int32)

    def prompt(self, n: int) -> None:
        """Decodes `n` tokens in batches."""
        done = 0
        while done < n:
            count = min(n - done, _N_BATCH)
            self._row[:count] = self._random.integers(0, self._n_vocab, count)
            if not done and self._bos is not None:
                self._row[0] = self._bos
            self._decode(count)
            done += count
        C.llama_synchronize(self._context)

    def generate(self, n: int) -> None:
        """Decodes `n` tokens one by one; each is drawn at random, not sampled."""
        self._row[0] = self._bos if self._bos is not None else self._random.integers(self._n_vocab)
        for _ in range(n):
            self._decode(1)
            C.llama_synchronize(self._context)
            self._row[0] = self._random.integers(self._n_vocab)

    def _decode(self, n: int) -> None:
        if self._stopped():
            raise ComputeError("stopped")
        pointer: Native = ctypes.POINTER
        batch = C.llama_batch_get_one(self._row.ctypes.data_as(pointer(C.llama_token)), n)
        code = C.llama_decode(self._context, batch)
        if code:
            raise ComputeError(f"llama_decode returned {code}: {library.last_errors()}".rstrip(": "))
