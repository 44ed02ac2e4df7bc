"""Models as the app knows them: catalogue entries, load options and memory sizes."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta, Struct

from app.domain.remote import RemoteModel

Count = Annotated[int, Meta(ge=1, le=2147483647)]
Mark = Annotated[str, Meta(min_length=1, max_length=200)]
NonNegative = Annotated[float, Meta(ge=0.0)]


class KvType(StrEnum):
    """Element type of the KV cache. Quantized types need flash attention."""

    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"
    Q8_0 = "q8_0"
    Q5_1 = "q5_1"
    Q5_0 = "q5_0"
    Q4_1 = "q4_1"
    Q4_0 = "q4_0"


class LoraAdapter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A LoRA adapter (GGUF) that is loaded with a model."""

    path: str
    scale: Annotated[float, Meta(ge=-100.0, le=100.0)] = 1.0
    """Default strength, for requests that give none; 0 is off."""
    name: str = ""
    """The name that requests use; empty is the file's name without its extension."""


class LoadOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the engine loads a model and creates its context. None lets the engine decide and report."""

    n_ctx: Count | None = None
    """Context window in tokens for one conversation; None is the training length, up to 8192, that fits in memory."""
    n_slots: Annotated[int, Meta(ge=1, le=64)] = 2
    """Conversations whose KV cache stays resident."""
    n_gpu_layers: Annotated[int, Meta(ge=-1, le=2147483647)] | Literal["auto"] | None = None
    """Layers to offload, the output layer included; -1 is all, `auto` and None as many as fit (`app.domain.fit`)."""
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
    """The GPU to use with `split_mode = "none"`; with `row`, the GPU that holds the KV cache."""
    split_mode: Literal["layer", "none", "row"] = "layer"
    """How several GPUs share a model: by whole layers, not at all, or by rows of each matrix."""
    tensor_split: Annotated[tuple[NonNegative, ...], Meta(max_length=16)] = ()
    """Proportions of the GPUs, as in `[3, 1]`; empty lets `app.domain.fit` choose."""
    chat_template: str | None = None
    """Jinja source used in place of the one in the GGUF."""
    template_variables: dict[str, bool | int | float | str] = {}
    """Variables for the chat template, as in `{ enable_thinking = false }`; others keep the template's defaults."""
    draft: str | None = None
    """A smaller model with the same vocabulary, for drafting: catalogue name or path; always a path for the engine."""
    thinking: tuple[Mark, Mark] | None = None
    """Start and end of a thinking block, as in `["<think>", "</think>"]`; None finds them in the chat template."""
    lora: tuple[LoraAdapter, ...] = ()
    """Adapters with unique names; requests choose their scales without a new load."""
    remote: RemoteModel | None = None
    """The server that runs the model in place of an engine here; of the rest only `n_ctx` matters then."""


class ModelSpec(Struct, frozen=True, kw_only=True):
    """One `[models.NAME]` of a catalogue, or a GGUF file found in a folder."""

    name: str
    source: str
    """`package:IMPORT_NAME/FILE` (a file inside an installed Python package) or the path of a GGUF file."""
    title: str = ""
    license: str = ""
    install: str = ""
    """How to get a missing file; shown to the user."""
    options: LoadOptions = LoadOptions()


MIN_OUTPUTS = 16
"""The fewest logit rows that a context reserves."""

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
    """Memory figures from a GGUF's header. Bytes are those of the file's tensors."""

    layer_bytes: tuple[int, ...]
    """Of each repeating layer."""
    input_bytes: int
    """Token embeddings; they stay in the CPU's memory."""
    output_bytes: int
    """The output layer; the token embeddings again if the two are tied."""
    n_embd: int
    n_ff: int
    n_head: int
    kv_width: int
    """Elements of keys and values per token and layer."""
    n_vocab: int
    n_ctx_train: int
    tied: bool = False
    """Whether output layer and token embeddings are tied, so that the CPU holds them only once."""
    draft: ModelSizes | None = None
    """The same for the draft model."""
    pass_bytes: int = 0
    """Weight bytes that a decode of one token reads; of a mixture of experts, only the active ones. 0 if unknown."""

    @property
    def n_offloadable(self) -> int:
        """Layers as `n_gpu_layers` counts them: the repeating ones and the output."""
        return len(self.layer_bytes) + 1

    def bytes_at(self, layer: int) -> int:
        """Weight bytes of one layer by its index; the last index is the output layer."""
        return self.layer_bytes[layer] if layer < len(self.layer_bytes) else self.output_bytes

    def kv_bytes(self, n_layers: int, n_tokens: int, kv_type: KvType) -> int:
        """Bytes of the KV cache of `n_tokens` cells in `n_layers` layers."""
        return round(n_layers * n_tokens * self.kv_width * _KV_BYTES[kv_type])

    def whole_bytes(self, n_ctx: int, options: LoadOptions) -> int:
        """Bytes needed if one device holds all of it: weights without the input layer, KV cache and scratch."""
        weight_bytes = sum(self.layer_bytes) + self.output_bytes
        kv_bytes = self.kv_bytes(len(self.layer_bytes), n_ctx * options.n_slots, options.kv_type)
        return weight_bytes + kv_bytes + self.compute_bytes(n_ctx, options)

    def compute_bytes(self, n_ctx: int, options: LoadOptions) -> int:
        """Bytes of scratch memory for a graph on one device.

        An estimate fitted to what llama.cpp reserves for a Llama model: rows of activations or of logits, whichever is
        larger, and the attention mask; without flash attention also the scores of every head.
        """
        rows = min(options.n_ubatch, options.n_batch)
        activations = rows * (3 * self.n_ff + 4 * self.n_embd) * 4
        logits = max(MIN_OUTPUTS, options.n_slots) * self.n_vocab * 4
        per_cell = 2 if options.flash_attn != "off" else 4 + 4 * self.n_head
        return max(activations, logits) + rows * n_ctx * per_cell
