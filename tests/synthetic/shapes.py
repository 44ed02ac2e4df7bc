"""The shapes of models with attention (llama, qwen2, gemma2): metadata, and the tensors that llama.cpp expects."""

from __future__ import annotations

from dataclasses import dataclass

from tests.fakes.tiny_gguf import F32, TensorData


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The sizes that make a llama. `tied`: the output layer is the token embedding, as it always is in a gemma2."""

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
    architecture: str = "llama"
    """`llama`, `qwen2` (biases of queries, keys and values) or `gemma2` (more norms, a window in every other layer)."""
    n_window: int = 64
    """Tokens that a layer with a window looks back on."""

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
    arch, n_head_embd = shape.architecture, shape.n_embd // shape.n_head
    found: dict[str, object] = {
        "general.architecture": arch,
        "general.name": name,
        "general.file_type": file_type,
        f"{arch}.block_count": shape.n_layers,
        f"{arch}.context_length": shape.n_ctx_train,
        f"{arch}.embedding_length": shape.n_embd,
        f"{arch}.feed_forward_length": shape.n_ff,
        f"{arch}.attention.head_count": shape.n_head,
        f"{arch}.attention.head_count_kv": shape.n_head_kv,
        f"{arch}.attention.layer_norm_rms_epsilon": 1e-5,
        f"{arch}.rope.dimension_count": n_head_embd,
        f"{arch}.rope.freq_base": shape.rope_base,
        f"{arch}.vocab_size": shape.n_vocab,
    }
    if arch == "gemma2":
        found |= {
            f"{arch}.attention.key_length": n_head_embd,
            f"{arch}.attention.value_length": n_head_embd,
            f"{arch}.attention.sliding_window": shape.n_window,
            f"{arch}.attn_logit_softcapping": 50.0,
            f"{arch}.final_logit_softcapping": 30.0,
        }
    return found


_QKV = ("attn_q", "attn_k", "attn_v")


def tensors(shape: Shape, kind: int) -> list[TensorData]:
    """Every tensor in the order of the file; matrices are of the ggml type `kind`, norms F32."""
    n_embd, n_ff = shape.n_embd, shape.n_ff
    norms = ["attn_norm", "ffn_norm"]
    if shape.architecture == "gemma2":
        norms += ["post_attention_norm", "post_ffw_norm"]
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
        found += [TensorData(f"blk.{layer}.{name}.weight", (n_embd,), F32) for name in norms]
        if shape.architecture == "qwen2":
            found += [
                TensorData(f"blk.{layer}.{part}.bias", (matrices[part][1],), F32) for part in matrices if part in _QKV
            ]
    found.append(TensorData("output_norm.weight", (n_embd,), F32))
    if not shape.tied and shape.architecture != "gemma2":
        found.append(TensorData("output.weight", (n_embd, shape.n_vocab), kind))
    return found
