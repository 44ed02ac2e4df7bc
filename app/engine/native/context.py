"""One llama_context: implements `app.engine.core.backend.Backend`, and checks what would abort the process."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Mapping

import msgspec
import numpy as np

from app.domain.model import MIN_OUTPUTS, KvType, LoadOptions
from app.domain.sampling import SamplingParams
from app.engine.core.backend import AdapterSet, ComputeError, Decoded, Logits
from app.engine.core.batch import Batch
from app.engine.native import library
from app.engine.native.devices import available_bytes, physical_cores
from app.engine.native.library import C, Native
from app.engine.native.memory import NativeMemory, state_parts
from app.engine.native.model import NativeModel
from app.engine.native.sampler import NativeSampler


class _NativeBatch:
    """A llama_batch over the arrays of a `Batch`."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._n_seq = np.ones(batch.capacity, np.int32)
        self._seq_pointers = (batch.seq_ids.ctypes.data + 4 * np.arange(batch.capacity)).astype(np.uintp)
        pointer: Native = ctypes.POINTER
        self._rows = C.llama_batch(
            0,
            batch.tokens.ctypes.data_as(pointer(C.llama_token)),
            None,
            batch.positions.ctypes.data_as(pointer(C.llama_pos)),
            self._n_seq.ctypes.data_as(pointer(ctypes.c_int32)),
            self._seq_pointers.ctypes.data_as(pointer(pointer(C.llama_seq_id))),
            batch.outputs.ctypes.data_as(pointer(ctypes.c_int8)),
        )

    def rows(self) -> Native:
        """The filled rows as an argument of llama_decode. Raises ValueError if there are none."""
        if not self._batch.n:
            raise ValueError("empty batch")
        self._rows.n_tokens = self._batch.n
        return self._rows


KV_TYPES = {
    KvType.F32: 0,
    KvType.F16: 1,
    KvType.Q4_0: 2,
    KvType.Q4_1: 3,
    KvType.Q5_0: 6,
    KvType.Q5_1: 7,
    KvType.Q8_0: 8,
    KvType.BF16: 30,
}
FLASH = {"auto": -1, "off": 0, "on": 1}
_KV_SIZE = re.compile(r"KV buffer size\s*=\s*([0-9.]+) MiB")
_FLASH_SET = re.compile(r"Flash Attention (enabled|disabled)")
_MEMORY_SHARE = 0.8
_MOST_OUTPUTS = 64
_VALUES_PER_EMBEDDING = 12
"""Activations of a row, in multiples of its embedding (`app.domain.model`)."""
_LOGITS_BYTES = 64 << 20
"""Logits of one batch in which every row has them."""
_OK, _NO_SLOT, _ABORTED, _NO_MEMORY = 0, 1, 2, -2


class ContextError(Exception):
    """The context could not be made, usually because memory is short."""


class NativeContext(NativeMemory):
    """Owns a llama_context. Not thread-safe, except for `raise_abort`."""

    def __init__(self, model: NativeModel, options: LoadOptions, n_ctx: int, pool: int = 0, n_outputs: int = 0) -> None:
        """Makes a context with `options.n_slots` sequences of `n_ctx` tokens. Raises ContextError.

        `pool`: if not 0, the sequences share one pool of this many cells. `n_outputs`: minimum for the rows of a batch
        that may have logits.
        """
        super().__init__()
        self._n_outputs = n_outputs
        self._model = model
        self.n_window = int(C.llama_model_n_swa(model.handle))
        self._parts = state_parts(model.handle)
        self._options = options
        self._wanted_n_ctx = n_ctx
        self._pool = pool
        self.unified = pool > 0
        self._flag = ctypes.create_string_buffer(2)
        self._address_of_logits = library.symbol(
            "llama_get_logits_ith", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32
        )
        self.partial_removal = True
        self.kv_type = options.kv_type
        self.n_threads = self._n_threads_now = options.n_threads or physical_cores()
        self.n_slots = options.n_slots
        self.n_vocab = model.vocab.n_vocab
        self.eog = model.vocab.eog
        self._adapters = model.adapters.default
        self._open()

    def sharing(self, n_slots: int) -> NativeContext:
        """A second context on the same model, with `n_slots` sequences that share as many cells as this one has.

        Raises ContextError.
        """
        _check_room(self.kv_bytes, "for parallel replies")
        options = msgspec.structs.replace(self._options, n_slots=n_slots)
        shared = NativeContext(self._model, options, self.n_ctx, pool=self.n_ctx * self.n_slots)
        shared.partial_removal = self.partial_removal
        return shared

    def scoring(self, n_ctx: int) -> NativeContext:
        """A second context for one sequence of `n_ctx` tokens, with logits in as many rows as fit into 64 MiB.

        Large batches are much faster if threads have to wait for each other. Raises ContextError.
        """
        row_bytes = 4 * self.n_vocab
        n_outputs = min(self.batch.capacity, max(MIN_OUTPUTS, _LOGITS_BYTES // row_bytes))
        _check_room(self.kv_bytes * n_ctx // (self.n_ctx * self.n_slots) + 2 * n_outputs * row_bytes, "to score a text")
        context = NativeContext(
            self._model, msgspec.structs.replace(self._options, n_slots=1), n_ctx, n_outputs=n_outputs
        )
        context.partial_removal = self.partial_removal
        return context

    def _free_outputs(self) -> int:
        """Rows of logits (16 or more) that fit into the scratch memory of a prefill's activations, at no extra cost."""
        n_rows = min(self._options.n_ubatch, self._options.n_batch)
        n_values = n_rows * _VALUES_PER_EMBEDDING * int(C.llama_model_n_embd(self._model.handle))
        return max(MIN_OUTPUTS, min(_MOST_OUTPUTS, n_rows, n_values // self.n_vocab))

    def _open(self) -> None:
        library.log_mark()
        options, params = self._options, C.llama_context_default_params()
        params.n_seq_max = options.n_slots
        params.n_ctx = self._pool or self._wanted_n_ctx * options.n_slots
        params.n_batch = max(options.n_batch, options.n_slots)
        params.n_ubatch = options.n_ubatch
        params.n_outputs_max = max_outputs = max(self._n_outputs, self._free_outputs(), options.n_slots)
        params.n_threads = self.n_threads
        params.n_threads_batch = options.n_threads_batch or self.n_threads
        params.flash_attn_type = FLASH[options.flash_attn]
        params.type_k = params.type_v = KV_TYPES[options.kv_type]
        params.kv_unified = self.unified
        # `strlen` of the flag: "" is false and one byte is true, and no thread needs the GIL to ask.
        params.abort_callback = ctypes.cast(ctypes.CDLL(None).strlen, C.ggml_abort_callback)
        params.abort_callback_data = ctypes.addressof(self._flag)
        handle = C.llama_init_from_model(self._model.handle, params)
        if not handle:
            raise ContextError(library.last_errors() or "llama.cpp could not make a context")
        self._handle = handle
        self._model.adapters.apply(handle, self._adapters)
        self._memory = C.llama_get_memory(handle)
        self.n_ctx = int(C.llama_n_ctx_seq(handle))
        if self._pool:
            self.n_ctx = min(self.n_ctx, self._wanted_n_ctx)
        self.can_shift = not self.unified and bool(C.llama_memory_can_shift(self._memory))
        self.batch = Batch(int(C.llama_n_batch(handle)), max_outputs)
        self._native_batch = _NativeBatch(self.batch)
        self._views: dict[int, Logits] = {}
        """Views of rows of logits, by address: llama.cpp reuses a few addresses, and a new view costs time."""
        self._read_log()

    def _read_log(self) -> None:
        lines = library.log_lines()
        sizes = [float(match.group(1)) for line in lines if (match := _KV_SIZE.search(line))]
        self.kv_bytes = int(sum(sizes) * (1 << 20))
        self.flash_attn = self._options.flash_attn
        for line in lines:
            if match := _FLASH_SET.search(line):
                self.flash_attn = "on" if match.group(1) == "enabled" else "off"

    def decode(self) -> Decoded:
        """Implements `Backend.decode`; waits for the result."""
        assert self._handle is not None
        self.begin_decode()
        code = C.llama_decode(self._handle, self._native_batch.rows())
        C.llama_synchronize(self._handle)
        if code == _OK:
            return Decoded.DONE
        if code == _NO_SLOT:
            return Decoded.NO_SLOT
        if code == _ABORTED:
            return Decoded.ABORTED
        what = "out of memory" if code == _NO_MEMORY else f"llama_decode returned {code}"
        raise ComputeError(f"{what}: {library.last_errors()}".rstrip(": "))

    def use_threads(self, n_threads: int) -> None:
        """Implements `Backend.use_threads`."""
        if n_threads != self._n_threads_now:
            self._n_threads_now = n_threads
            for_prefill = self._options.n_threads_batch or self.n_threads
            if n_threads < self.n_threads:
                for_prefill = min(for_prefill, n_threads)
            C.llama_set_n_threads(self._handle, n_threads, for_prefill)

    def logits(self, row: int) -> Logits:
        """Implements `Backend.logits`: a view, shape (n_vocab,). Raises IndexError for a row without logits."""
        address: int | None = self._address_of_logits(self._handle, row)
        if not address:
            raise IndexError(f"row {row} has no logits")
        view = self._views.get(address)
        if view is None:
            memory: Native = (ctypes.c_float * self.n_vocab).from_address(address)
            view = self._views[address] = np.frombuffer(memory, np.float32)
        return view

    def token_ids(self, name: str) -> list[int]:
        """Implements `Backend.token_ids`."""
        return self._model.token_ids(name)

    def sampler(self, params: SamplingParams) -> NativeSampler:
        """Implements `Backend.sampler`."""
        return NativeSampler(self._model, params, self.n_ctx)

    def adapters(self, lora: Mapping[str, float] | None) -> AdapterSet:
        """Implements `Backend.adapters`."""
        return self._model.adapters.choose(lora)

    def use_adapters(self, adapters: AdapterSet) -> None:
        """Implements `Backend.use_adapters`."""
        if adapters != self._adapters:
            self._adapters = adapters
            self._model.adapters.apply(self._handle, adapters)

    def raise_abort(self) -> None:
        """Stops a running decode on the CPU at its next graph node. Thread-safe."""
        self._flag[0] = b"\x01"

    def clear_abort(self) -> None:
        """Implements `Backend.clear_abort`."""
        self._flag[0] = b"\x00"

    def reset(self) -> None:
        """Implements `Backend.reset`."""
        self.close()
        self.begin_decode()
        self.clear_abort()
        try:
            self._open()
        except ContextError as error:
            raise ComputeError(str(error)) from error

    def close(self) -> None:
        """Frees the context. Idempotent."""
        if self._handle:
            C.llama_free(self._handle)
            self._handle = None


def _check_room(n_bytes: int, what: str) -> None:
    available = available_bytes()
    if available is not None and n_bytes > _MEMORY_SHARE * available:
        raise ContextError(f"not enough memory {what}: needs {n_bytes >> 20} MiB, {available >> 20} MiB free")
