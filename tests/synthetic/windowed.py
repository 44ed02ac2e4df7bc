"""The shapes of models whose layers look back on a window in turn with all: Gemma 3, Command R7B, OLMo 3, PLaMo 3,
gpt-oss, as llama.cpp names and reads them."""

from __future__ import annotations

from dataclasses import dataclass

from tests.fakes.tiny_gguf import F32, TensorData

ARCHITECTURES = ("gemma3", "cohere2", "olmo2", "plamo3", "gpt-oss")
_N_EXPERTS = 4
_FUSED = ("plamo3",)
"""One matrix makes queries, keys and values, one makes gate and up."""
_NORMS = {
    "gemma3": ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"),
    "cohere2": ("attn_norm",),
    "olmo2": ("post_attention_norm", "post_ffw_norm"),
    "plamo3": ("attn_norm", "ffn_norm"),
    "gpt-oss": ("attn_norm", "post_attention_norm"),
}


@dataclass(frozen=True, kw_only=True)
class WindowedShape:
    """The sizes of one; every other layer has the window."""

    architecture: str
    n_layers: int = 4
    n_embd: int = 128
    n_head: int = 4
    n_head_kv: int = 2
    n_ff: int = 256
    n_vocab: int = 1000
    n_ctx_train: int = 8192
    n_window: int = 64

    @property
    def n_head_embd(self) -> int:
        """Width of one head."""
        return self.n_embd // self.n_head

    @property
    def n_kv(self) -> int:
        """Width of one layer's keys, and of its values."""
        return self.n_head_embd * self.n_head_kv


def metadata(shape: WindowedShape, name: str, file_type: int) -> dict[str, object]:
    """The keys that tell llama.cpp the shape; those of the vocabulary are added by the caller."""
    arch = shape.architecture
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
        f"{arch}.attention.key_length": shape.n_head_embd,
        f"{arch}.attention.value_length": shape.n_head_embd,
        f"{arch}.attention.layer_norm_rms_epsilon": 1e-5,
        f"{arch}.attention.sliding_window": shape.n_window,
        f"{arch}.attention.sliding_window_pattern": 2,
        f"{arch}.rope.dimension_count": shape.n_head_embd,
        f"{arch}.rope.freq_base": 10000.0,
        f"{arch}.rope.freq_base_swa": 10000.0,
        f"{arch}.vocab_size": shape.n_vocab,
    }
    if arch == "cohere2":
        found |= {f"{arch}.logit_scale": 1.0, f"{arch}.attention.layer_norm_epsilon": 1e-5}
    if arch == "gpt-oss":
        found |= {
            f"{arch}.expert_feed_forward_length": shape.n_ff,
            f"{arch}.expert_count": _N_EXPERTS,
            f"{arch}.expert_used_count": 2,
        }
    return found


def tensors(shape: WindowedShape, kind: int) -> list[TensorData]:
    """Every tensor; matrices are of the ggml type `kind`, norms, biases and sinks F32."""
    arch, n_embd = shape.architecture, shape.n_embd
    found = [
        TensorData("token_embd.weight", (n_embd, shape.n_vocab), kind),
        TensorData("output_norm.weight", (n_embd,)),
    ]
    if arch in ("olmo2", "gpt-oss"):
        found.append(TensorData("output.weight", (n_embd, shape.n_vocab), kind))
    for layer in range(shape.n_layers):
        parts = _attention(shape, kind) + (_experts(shape, kind) if arch == "gpt-oss" else _feed_forward(shape, kind))
        parts += [TensorData(f"{norm}.weight", (n_embd,)) for norm in _NORMS[arch]]
        if arch == "plamo3":
            parts += [TensorData(norm, (n_embd,)) for norm in ("post_attention_norm", "post_ffw_norm")]
        found += [TensorData(f"blk.{layer}.{part.name}", part.shape, part.kind, part.data) for part in parts]
    return found


def _attention(shape: WindowedShape, kind: int) -> list[TensorData]:
    n_embd, n_kv, arch = shape.n_embd, shape.n_kv, shape.architecture
    sizes = {"attn_q": n_embd, "attn_k": n_kv, "attn_v": n_kv}
    if arch in _FUSED:
        sizes = {"attn_qkv": n_embd + 2 * n_kv}
    found = [TensorData(f"{name}.weight", (n_embd, n), kind) for name, n in (sizes | {"attn_output": n_embd}).items()]
    if arch in ("gemma3", "plamo3"):
        found += [TensorData(f"{name}.weight", (shape.n_head_embd,)) for name in ("attn_q_norm", "attn_k_norm")]
    if arch == "olmo2":
        found += [TensorData("attn_q_norm.weight", (n_embd,)), TensorData("attn_k_norm.weight", (n_kv,))]
    if arch == "gpt-oss":
        found += [TensorData("attn_sinks.weight", (shape.n_head,)), TensorData("attn_output.bias", (n_embd,))]
    return found


def _feed_forward(shape: WindowedShape, kind: int) -> list[TensorData]:
    n_embd, n_ff = shape.n_embd, shape.n_ff
    if shape.architecture in _FUSED:
        return [
            TensorData("ffn_up.weight", (n_embd, 2 * n_ff), kind),
            TensorData("ffn_down.weight", (n_ff, n_embd), kind),
        ]
    found = [TensorData(f"{name}.weight", (n_embd, n_ff), kind) for name in ("ffn_gate", "ffn_up")]
    return [*found, TensorData("ffn_down.weight", (n_ff, n_embd), kind)]


def _experts(shape: WindowedShape, kind: int) -> list[TensorData]:
    n_embd, n_ff = shape.n_embd, shape.n_ff
    sizes = {"ffn_gate_exps": (n_embd, n_ff), "ffn_up_exps": (n_embd, n_ff), "ffn_down_exps": (n_ff, n_embd)}
    found = [TensorData(f"{name}.weight", (*size, _N_EXPERTS), kind) for name, size in sizes.items()]
    found += [TensorData(f"{name}.bias", (size[1], _N_EXPERTS), F32) for name, size in sizes.items()]
    return [
        *found,
        TensorData("ffn_gate_inp.weight", (n_embd, _N_EXPERTS), F32),
        TensorData("ffn_gate_inp.bias", (_N_EXPERTS,)),
    ]
