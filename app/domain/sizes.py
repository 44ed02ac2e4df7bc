"""How many bytes a model takes: its weights by layer, its KV cache and its compute buffers, before anything is loaded.

Closed forms for plain attention; models with sliding windows or recurrent layers take less than they say.
"""

from __future__ import annotations

from msgspec import Struct

from app.domain.model import KvType, LoadOptions

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
