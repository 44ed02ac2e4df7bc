"""One loaded model: weights, vocabulary, LoRA adapters, and where the log says that its layers went.

A model must outlive its contexts (`app.engine.native.context`). Adapters are loaded before the first context, whose
graphs are sized for them, and freed with the model. A context computes with one set of adapters at a time
(`app.engine.core.admission` takes turns).
"""

from __future__ import annotations

import ctypes
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from app.domain.model import LoadOptions, LoraAdapter, ModelSizes
from app.domain.text import one_line
from app.engine.core.backend import AdapterSet, SamplingError
from app.engine.grammar.compiler import Grammars
from app.engine.native import library
from app.engine.native.library import C, Native
from app.engine.native.vocab import NativeVocab, PieceIndex
from app.protocol.events import LayerPlacement

_ASSIGNED = re.compile(r"layer\s+\d+ assigned to device (\S+?),?(?:\s|$)")
_SPLIT_MODES = {"none": 0, "layer": 1, "row": 2}
_FTYPE = re.compile(r"file type\s*=\s*(.+)$")


class LoadError(Exception):
    """A model, an adapter or a context could not be loaded; the message holds llama.cpp's last error lines."""


class LoadCancelled(LoadError):
    """The progress callback returned False."""


class NativeModel:
    """Owns a llama_model. Close its contexts before `close` frees it."""

    def __init__(self, path: str, options: LoadOptions, progress: Callable[[float], bool]) -> None:
        """Loads `path`. `progress` takes the fraction loaded, 0 to 1, and returns False to cancel.

        Raises LoadError, LoadCancelled.
        """
        library.log_mark()
        cancelled = False

        def on_progress(fraction: float, _data: object) -> bool:
            nonlocal cancelled
            cancelled = cancelled or not progress(fraction)
            return not cancelled

        params = C.llama_model_default_params()
        params.n_gpu_layers = options.n_gpu_layers if isinstance(options.n_gpu_layers, int) else -1
        params.main_gpu = options.main_gpu
        params.split_mode = _SPLIT_MODES[options.split_mode]
        split = (ctypes.c_float * C.llama_max_devices())(*options.tensor_split)
        if options.tensor_split:
            params.tensor_split = split
        params.load_mode = _load_mode(options)
        callback = C.llama_progress_callback(on_progress)
        params.progress_callback = callback
        model = C.llama_model_load_from_file(os.fsencode(path), params)
        if not model:
            if cancelled:
                raise LoadCancelled("load cancelled")
            raise LoadError(library.last_errors() or "llama.cpp could not load the file")
        self.handle: Native = model
        lines = library.log_lines()
        self.placement = _placement(lines)
        self.quant = _quant(lines)
        self.vocab = NativeVocab(model)
        self.n_ctx_train: int = C.llama_model_n_ctx_train(model)
        self.n_layers: int = C.llama_model_n_layer(model)
        self.n_params: int = C.llama_model_n_params(model)
        self.size_bytes: int = C.llama_model_size(model)
        self.name = self.meta("general.name") or os.path.basename(path)
        self.architecture = self.meta("general.architecture")
        template = C.llama_model_chat_template(model, None)
        self.suppressed = _suppressed(model)
        """Ids that the GGUF says must never be sampled."""
        self.grammars = Grammars(self.vocab, self.token_ids)
        self.pieces = PieceIndex(self.vocab)
        try:
            self.adapters = Adapters(model, options.lora)
        except LoadError:
            self.close()
            raise
        self.chat_template = template.decode("utf-8", "replace") if template else None

    def token_ids(self, name: str) -> list[int]:
        """Ids that `name` stands for: `#ID`, the name of a special token, or a text.

        Raises SamplingError for an id outside the vocabulary.
        """
        if name.startswith("#") and name[1:].isdecimal():
            token = int(name[1:])
            if token >= self.vocab.n_vocab:
                raise SamplingError(f"there is no token {name}: the vocabulary has {self.vocab.n_vocab}")
            return [token]
        for special in self.vocab.special:
            if special.text == name.encode():
                return [special.id]
        return self.vocab.tokenize(name.encode())

    def meta(self, key: str) -> str:
        """A metadata value of the GGUF as text; empty if it is missing."""
        buffer = ctypes.create_string_buffer(1 << 12)
        n = C.llama_model_meta_val_str(self.handle, key.encode(), buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace") if n >= 0 else ""

    def is_long(self, n_ctx: int) -> bool:
        """True if a window of `n_ctx` tokens exceeds the length that the model's RoPE was made for.

        Models with two sets of factors (Phi-3) rotate keys differently there: neither can use the other's cells.
        """
        made_for = self.meta(f"{self.architecture}.rope.scaling.original_context_length")
        return made_for.isdecimal() and n_ctx > int(made_for)

    @property
    def can_decode(self) -> bool:
        """False for encoder-only and diffusion models, which have no autoregressive loop."""
        return bool(C.llama_model_has_decoder(self.handle)) and not C.llama_model_is_diffusion(self.handle)

    def sizes(self) -> ModelSizes:
        """Sizes for planning a context, without the weights, which are in memory already. Assumes plain attention."""
        n_embd, n_head = C.llama_model_n_embd(self.handle), max(1, C.llama_model_n_head(self.handle))
        return ModelSizes(
            layer_bytes=(0,) * self.n_layers,
            input_bytes=0,
            output_bytes=0,
            n_embd=n_embd,
            n_ff=4 * n_embd,
            n_head=n_head,
            kv_width=2 * n_embd * C.llama_model_n_head_kv(self.handle) // n_head,
            n_vocab=self.vocab.n_vocab,
            n_ctx_train=self.n_ctx_train,
        )

    def close(self) -> None:
        """Frees the weights. Idempotent."""
        if self.handle:
            C.llama_model_free(self.handle)
            self.handle = None


def _suppressed(model: Native) -> tuple[int, ...]:
    n = ctypes.c_int32(0)
    vocab = C.llama_model_get_vocab(model)
    assert vocab is not None
    tokens = C.llama_vocab_get_suppress_tokens(vocab, ctypes.byref(n))
    return tuple(tokens[: n.value]) if tokens and n.value > 0 else ()


def _load_mode(options: LoadOptions) -> int:
    # LLAMA_LOAD_MODE_*: none 0, mmap 1, mlock 2, both 3, auto -1.
    if options.mlock:
        return 3 if options.mmap else 2
    return -1 if options.mmap else 0


def _placement(lines: list[str]) -> tuple[LayerPlacement, ...]:
    counts = Counter(match.group(1) for line in lines if (match := _ASSIGNED.search(line)))
    return tuple(LayerPlacement(device, n) for device, n in counts.items())


def _quant(lines: list[str]) -> str:
    for line in lines:
        if match := _FTYPE.search(line):
            return match.group(1).strip().removesuffix(" (guessed)").split(" - ")[0]
    return "?"


class Adapters:
    """The LoRA adapters of one model."""

    def __init__(self, model: Native, wanted: Sequence[LoraAdapter]) -> None:
        """Loads the adapters into the memory of the weights that they change. Raises LoadError."""
        self.wanted = tuple(wanted)
        self._handles: dict[str, Native] = {}
        self._files: dict[str, tuple[str, int, int]] = {}
        for adapter in wanted:
            self._files[adapter.name] = _identity(Path(adapter.path))
            library.log_mark()
            handle = C.llama_adapter_lora_init(model, os.fsencode(adapter.path))
            if not handle:
                why = library.last_errors() or "llama.cpp could not load it"
                raise LoadError(f"the adapter {one_line(adapter.name)} ({adapter.path}) cannot be loaded: {why}")
            self._handles[adapter.name] = handle
        self.default = self._set({adapter.name: adapter.scale for adapter in wanted})
        """The set for requests that choose none."""
        self.notices = [
            f"the adapter {one_line(adapter.name)} is an aLoRA, made to act from a phrase on; it acts on the whole text"
            for adapter in wanted
            if C.llama_adapter_get_alora_n_invocation_tokens(self._handles[adapter.name])
        ]

    def choose(self, lora: Mapping[str, float] | None) -> AdapterSet:
        """The set for `SamplingParams.lora` (scale by name). Raises SamplingError for an unknown name."""
        if lora is None:
            return self.default
        for name in lora:
            if name not in self._handles:
                known = ", ".join(one_line(each) for each in self._handles)
                there = f"it has {known}" if known else "it has none; add `lora` to its entry in models.toml"
                raise SamplingError(f"the model has no adapter `{one_line(name)}`: {there}")
        return self._set(lora)

    def apply(self, context: Native, adapters: AdapterSet) -> None:
        """Makes the next decodes of a context use exactly this set."""
        n = len(adapters)
        handles = (C.llama_adapter_lora_p_ctypes * n)(*(self._handles[name] for name, _ in adapters))
        scales = (ctypes.c_float * n)(*(scale for _, scale in adapters))
        C.llama_set_adapters_lora(context, handles if n else None, n, scales if n else None)

    def facts(self, adapters: AdapterSet) -> list[tuple[str, int, int, float]]:
        """(path, size in bytes, mtime in ns, scale) of each adapter; identifies cells computed with this set."""
        return [(*self._files[name], scale) for name, scale in adapters]

    def _set(self, scales: Mapping[str, float]) -> AdapterSet:
        # Sorted and without scales of 0, so that equal sets share their cells.
        return tuple(sorted((name, float(scale)) for name, scale in scales.items() if scale))


def _identity(path: Path) -> tuple[str, int, int]:
    """(path, size in bytes, mtime in ns), read before the load: an overwritten file is another adapter.

    Size and mtime are -1 if the file is missing.
    """
    try:
        status = path.stat()
    except OSError:
        return str(path), -1, -1
    return str(path.resolve()), status.st_size, status.st_mtime_ns
