"""A LoRA adapter with random weights for the attention queries of a llama, as convert_lora_to_gguf.py writes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.fakes.tiny_gguf import F32, TensorData, gguf_bytes


def write_lora(
    path: Path, *, n_layers: int, n_embd: int, rank: int = 4, strength: float = 0.5, seed: int = 0, **changes: object
) -> Path:
    """Writes an adapter to `path` and returns it; `changes` replace metadata keys (dots written `__`, None: left out).

    `strength`: standard deviation of what it adds to a query, where inputs have one of 1.
    """
    rng = np.random.default_rng(seed)
    tensors: list[TensorData] = []
    for layer in range(n_layers):
        a = rng.standard_normal((rank, n_embd), np.float32) * n_embd**-0.5
        b = rng.standard_normal((n_embd, rank), np.float32) * strength * rank**-0.5
        name = f"blk.{layer}.attn_q.weight"
        tensors.append(TensorData(f"{name}.lora_a", (n_embd, rank), F32, a.tobytes()))
        tensors.append(TensorData(f"{name}.lora_b", (rank, n_embd), F32, b.tobytes()))
    metadata: dict[str, object] = {
        "general.architecture": "llama",
        "general.type": "adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": float(rank),
    }
    metadata |= {key.replace("__", "."): value for key, value in changes.items()}
    kept = {key: value for key, value in metadata.items() if value is not None}
    path.write_bytes(gguf_bytes(kept, tensors))
    return path
