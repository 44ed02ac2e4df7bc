"""The shapes of llama-architecture models: their metadata and the tensors that llama.cpp expects of them."""

from __future__ import annotations

from dataclasses import dataclass

from tests.fakes.tiny_gguf import F32, TensorData


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The sizes that make a llama. `tied`: the output layer is the token embedding."""

    n_layers: int
    n_embd: int
    n_head: int
    n_head_kv: int
    n_ff: int
    n_vocab: int
    """Used with the synthetic vocabulary; a copied one brings its own size."""
    n_ctx_train: int = 8192
    tied: bool = False
    rope_base: float = 10000.0

    @property
    def n_kv(self) -> int:
        """Width of one layer's keys, and of its values."""
        return self.n_embd // self.n_head * self.n_head_kv


SHAPES = {
    "tiny": Shape(n_layers=2, n_embd=256, n_head=8, n_head_kv=4, n_ff=512, n_vocab=1024),
    "135m": Shape(n_layers=30, n_embd=576, n_head=9, n_head_kv=3, n_ff=1536, n_vocab=16384, tied=True),
    "1b": Shape(
        n_layers=16,
        n_embd=2048,
        n_head=32,
        n_head_kv=8,
        n_ff=8192,
        n_vocab=16384,
        n_ctx_train=131072,
        tied=True,
        rope_base=500000.0,
    ),
    "8b": Shape(
        n_layers=32,
        n_embd=4096,
        n_head=32,
        n_head_kv=8,
        n_ff=14336,
        n_vocab=16384,
        n_ctx_train=131072,
        rope_base=500000.0,
    ),
}
"""`135m`, `1b` and `8b` are SmolLM2's, Llama 3.2's and Llama 3.1's; give them a real vocabulary for their real size."""


def metadata(shape: Shape, name: str, file_type: int) -> dict[str, object]:
    """The keys that tell llama.cpp the shape; those of the vocabulary are added by the caller."""
    return {
        "general.architecture": "llama",
        "general.name": name,
        "general.file_type": file_type,
        "llama.block_count": shape.n_layers,
        "llama.context_length": shape.n_ctx_train,
        "llama.embedding_length": shape.n_embd,
        "llama.feed_forward_length": shape.n_ff,
        "llama.attention.head_count": shape.n_head,
        "llama.attention.head_count_kv": shape.n_head_kv,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": shape.n_embd // shape.n_head,
        "llama.rope.freq_base": shape.rope_base,
        "llama.vocab_size": shape.n_vocab,
    }


def tensors(shape: Shape, kind: int) -> list[TensorData]:
    """Every tensor in the order of the file; matrices are of the ggml type `kind`, norms F32."""
    n_embd, n_ff = shape.n_embd, shape.n_ff
    found = [TensorData("token_embd.weight", (n_embd, shape.n_vocab), kind)]
    for layer in range(shape.n_layers):
        matrices = {
            "attn_q": (n_embd, n_embd),
            "attn_k": (n_embd, shape.n_kv),
            "attn_v": (n_embd, shape.n_kv),
            "attn_output": (n_embd, n_embd),
            "ffn_gate": (n_embd, n_ff),
            "ffn_up": (n_embd, n_ff),
            "ffn_down": (n_ff, n_embd),
        }
        found += [TensorData(f"blk.{layer}.{name}.weight", size, kind) for name, size in matrices.items()]
        found += [TensorData(f"blk.{layer}.{name}.weight", (n_embd,), F32) for name in ("attn_norm", "ffn_norm")]
    found.append(TensorData("output_norm.weight", (n_embd,), F32))
    if not shape.tied:
        found.append(TensorData("output.weight", (n_embd, shape.n_vocab), kind))
    return found
