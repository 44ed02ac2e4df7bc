"""What a model is to the app: a catalogue entry, the options that it is loaded with, and the bytes that it takes."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=1, le=2147483647)]
Mark = Annotated[str, Meta(min_length=1, max_length=200)]
NonNegative = Annotated[float, Meta(ge=0.0)]


class KvType(StrEnum):
    """Element type of the KV cache. Quantised types need flash attention."""

    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"
    Q8_0 = "q8_0"
    Q5_1 = "q5_1"
    Q5_0 = "q5_0"
    Q4_1 = "q4_1"
    Q4_0 = "q4_0"


class LoraAdapter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A LoRA adapter in GGUF that is loaded with a model."""

    path: str
    scale: Annotated[float, Meta(ge=-100.0, le=100.0)] = 1.0
    """How strongly it acts where a request does not say; 0 is off."""
    name: str = ""
    """As requests name it; empty is the file's name without its ending."""


class LoadOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the engine loads a model and creates its context. None means: the engine decides and reports."""

    n_ctx: Count | None = None
    """Context window in tokens for one conversation; None is min(train length, 8192) that fits in memory."""
    n_slots: Annotated[int, Meta(ge=1, le=64)] = 2
    """Conversations whose KV cache stays resident."""
    n_gpu_layers: Annotated[int, Meta(ge=-1, le=2147483647)] | Literal["auto"] | None = None
    """Layers offloaded, the output layer counted; -1 is all. `auto` and None are as many as fit (`app.domain.fit`)."""
    n_threads: Count | None = None
    """Compute threads of decode; None is the number of physical cores."""
    n_threads_batch: Count | None = None
    """Compute threads of prefill; None is the same as `n_threads`."""
    n_batch: Annotated[int, Meta(ge=32, le=65536)] = 512
    """Most rows in one llama_decode."""
    n_ubatch: Annotated[int, Meta(ge=32, le=65536)] = 512
    flash_attn: Literal["auto", "on", "off"] = "auto"
    kv_type: KvType = KvType.F16
    mmap: bool = True
    mlock: bool = False
    main_gpu: Annotated[int, Meta(ge=0, le=15)] = 0
    """The GPU in use with `split_mode = "none"`; with `row` the one that holds the KV cache."""
    split_mode: Literal["layer", "none", "row"] = "layer"
    """How several GPUs share a model: whole layers, not at all, or rows of each matrix."""
    tensor_split: Annotated[tuple[NonNegative, ...], Meta(max_length=16)] = ()
    """Proportions of the GPUs, as in `[3, 1]`; empty lets the fit choose."""
    chat_template: str | None = None
    """Jinja source used in place of the one in the GGUF."""
    template_variables: dict[str, bool | int | float | str] = {}
    """Passed to the chat template beside the messages, as in `{ enable_thinking = false }`; else its defaults act."""
    draft: str | None = None
    """A smaller model with the same vocabulary that drafts: catalogue name or path; always a path for the engine."""
    thinking: tuple[Mark, Mark] | None = None
    """What begins and ends a thinking block, as in `["<think>", "</think>"]`; None is found in the chat template."""
    lora: tuple[LoraAdapter, ...] = ()
    """Adapters, no two of one name; requests choose their scales without loading again."""


class ModelSpec(Struct, frozen=True, kw_only=True):
    """One `[models.NAME]` of a catalogue, or a GGUF file found in a folder."""

    name: str
    source: str
    """`package:IMPORT_NAME/FILE` (a file inside an installed Python package) or the path of a GGUF file."""
    title: str = ""
    license: str = ""
    install: str = ""
    """How to get the file when it is missing; shown to the user."""
    options: LoadOptions = LoadOptions()


MIN_OUTPUTS = 16
"""Logit rows that a context reserves at least."""

_KV_BYTES = {
    KvType.F32: 4.0,
    KvType.F16: 2.0,
    KvType.BF16: 2.0,
    KvType.Q8_0: 34 / 32,
    KvType.Q5_1: 24 / 32,
    KvType.Q5_0: 22 / 32,
    KvType.Q4_1: 20 / 32,
    KvType.Q4_0: 18 / 32,
}


class ModelSizes(Struct, frozen=True, array_like=True):
    """What a GGUF's header says of memory. Bytes are those of the file's tensors."""

    layer_bytes: tuple[int, ...]
    """Of each repeating layer."""
    input_bytes: int
    """Token embeddings; they stay in the CPU's memory."""
    output_bytes: int
    """The output layer; the token embeddings once more where the two are one."""
    n_embd: int
    n_ff: int
    n_head: int
    kv_width: int
    """Elements of keys and values that one token adds to one layer."""
    n_vocab: int
    n_ctx_train: int
    tied: bool = False
    """Whether the output layer is the token embeddings, so that the CPU needs them only once."""
    draft: ModelSizes | None = None
    """Of the draft model that is loaded beside it."""
    pass_bytes: int = 0
    """Weights that a pass for one token reads: of a mixture of experts those of the experts in use; 0: not known."""

    @property
    def n_offloadable(self) -> int:
        """Layers as `n_gpu_layers` counts them: the repeating ones and the output."""
        return len(self.layer_bytes) + 1

    def bytes_at(self, layer: int) -> int:
        """Of one layer by its number; the last number is the output's."""
        return self.layer_bytes[layer] if layer < len(self.layer_bytes) else self.output_bytes

    def kv_bytes(self, n_layers: int, n_tokens: int, kv_type: KvType) -> int:
        """KV cache of `n_tokens` cells in `n_layers` layers."""
        return round(n_layers * n_tokens * self.kv_width * _KV_BYTES[kv_type])

    def whole_bytes(self, n_ctx: int, options: LoadOptions) -> int:
        """All that it takes where one device holds it whole: weights without those of the input, KV and scratch."""
        weight_bytes = sum(self.layer_bytes) + self.output_bytes
        kv_bytes = self.kv_bytes(len(self.layer_bytes), n_ctx * options.n_slots, options.kv_type)
        return weight_bytes + kv_bytes + self.compute_bytes(n_ctx, options)

    def compute_bytes(self, n_ctx: int, options: LoadOptions) -> int:
        """Scratch memory of a graph on one device.

        Fitted to what llama.cpp reserves for a llama: rows of activations, or the logits where those are more, and the
        attention mask; without flash attention the scores of every head too.
        """
        rows = min(options.n_ubatch, options.n_batch)
        activations = rows * (3 * self.n_ff + 4 * self.n_embd) * 4
        logits = max(MIN_OUTPUTS, options.n_slots) * self.n_vocab * 4
        per_cell = 2 if options.flash_attn != "off" else 4 + 4 * self.n_head
        return max(activations, logits) + rows * n_ctx * per_cell
