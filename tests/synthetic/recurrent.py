"""The shapes of models with a recurrent memory: Mamba, and with attention in some layers Jamba."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.fakes.tiny_gguf import F32, INT32, TensorData, Typed


@dataclass(frozen=True, kw_only=True)
class RecurrentShape:
    """The sizes that make a Mamba; with `attention_every` a Jamba, whose every so-manyth layer has attention."""

    n_layers: int
    n_embd: int
    n_vocab: int
    n_ctx_train: int = 8192
    n_state: int = 8
    n_conv: int = 4
    n_rank: int = 32
    attention_every: int = 0
    n_head: int = 4
    n_head_kv: int = 2

    @property
    def architecture(self) -> str:
        """As llama.cpp names it."""
        return "jamba" if self.attention_every else "mamba"

    def has_attention(self, layer: int) -> bool:
        """Whether a layer keeps keys and values in place of a state."""
        return bool(self.attention_every) and layer % self.attention_every == self.attention_every - 1


def metadata(shape: RecurrentShape, name: str, file_type: int) -> dict[str, object]:
    """The keys that tell llama.cpp the shape; those of the vocabulary are added by the caller."""
    arch = shape.architecture
    heads = [shape.n_head_kv * shape.has_attention(layer) for layer in range(shape.n_layers)]
    found: dict[str, object] = {
        "general.architecture": arch,
        "general.name": name,
        "general.file_type": file_type,
        f"{arch}.block_count": shape.n_layers,
        f"{arch}.context_length": shape.n_ctx_train,
        f"{arch}.embedding_length": shape.n_embd,
        f"{arch}.feed_forward_length": 2 * shape.n_embd if shape.attention_every else 0,
        f"{arch}.attention.head_count": shape.n_head if shape.attention_every else 0,
        f"{arch}.attention.layer_norm_rms_epsilon": 1e-5,
        f"{arch}.ssm.conv_kernel": shape.n_conv,
        f"{arch}.ssm.inner_size": 2 * shape.n_embd,
        f"{arch}.ssm.state_size": shape.n_state,
        f"{arch}.ssm.time_step_rank": shape.n_rank,
        f"{arch}.vocab_size": shape.n_vocab,
    }
    if shape.attention_every:
        found[f"{arch}.attention.head_count_kv"] = Typed(INT32, heads)
    return found


def tensors(shape: RecurrentShape, kind: int) -> list[TensorData]:
    """Every tensor; the large matrices are of the ggml type `kind`, the rest F32. The output layer is tied."""
    n_embd = shape.n_embd
    found = [
        TensorData("token_embd.weight", (n_embd, shape.n_vocab), kind),
        TensorData("output_norm.weight", (n_embd,)),
    ]
    for layer in range(shape.n_layers):
        parts = _attention(shape, kind) if shape.has_attention(layer) else _state(shape, kind)
        parts.append(TensorData("attn_norm.weight", (n_embd,)))
        if shape.attention_every:
            parts += [TensorData(f"ffn_{part}.weight", (n_embd, 2 * n_embd), kind) for part in ("gate", "up")]
            parts += [
                TensorData("ffn_down.weight", (2 * n_embd, n_embd), kind),
                TensorData("ffn_norm.weight", (n_embd,)),
            ]
        found += [TensorData(f"blk.{layer}.{part.name}", part.shape, part.kind, part.data) for part in parts]
    return found


def _attention(shape: RecurrentShape, kind: int) -> list[TensorData]:
    n_embd, n_kv = shape.n_embd, shape.n_embd // shape.n_head * shape.n_head_kv
    sizes = {"attn_q": n_embd, "attn_k": n_kv, "attn_v": n_kv, "attn_output": n_embd}
    return [TensorData(f"{name}.weight", (n_embd, n), kind) for name, n in sizes.items()]


def _state(shape: RecurrentShape, kind: int) -> list[TensorData]:
    n_embd, n_inner, n_state, n_rank = shape.n_embd, 2 * shape.n_embd, shape.n_state, shape.n_rank
    # Rates of decay: below 0, or the state would grow without end.
    decay = -np.tile(np.arange(1, n_state + 1, dtype=np.float32) / n_state, n_inner)
    found = [
        TensorData("ssm_in.weight", (n_embd, 2 * n_inner), kind),
        TensorData("ssm_conv1d.weight", (shape.n_conv, n_inner), F32),
        TensorData("ssm_conv1d.bias", (n_inner,)),
        TensorData("ssm_x.weight", (n_inner, n_rank + 2 * n_state), kind),
        TensorData("ssm_dt.weight", (n_rank, n_inner), F32),
        TensorData("ssm_dt.bias", (n_inner,)),
        TensorData("ssm_a", (n_state, n_inner), F32, decay.tobytes()),
        TensorData("ssm_d", (n_inner,)),
        TensorData("ssm_out.weight", (n_inner, n_embd), kind),
    ]
    norms = {"ssm_dt_norm": n_rank, "ssm_b_norm": n_state, "ssm_c_norm": n_state} if shape.attention_every else {}
    return found + [TensorData(f"{name}.weight", (n,)) for name, n in norms.items()]
