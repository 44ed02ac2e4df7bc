"""Finds header values that would make llama.cpp abort its process instead of failing the load.

Covers the cheap checks among the assertions of `load_hparams` and `llm_load_vocab`. If another one fails, the worker
dies and the app reports a lost engine (exit code 5).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from app.models.gguf_parser import GgufContent, Skipped, Value

_MAX_LAYERS = 512
_MAX_EXPERTS = 1024
_ROPE_SCALINGS = frozenset({"none", "linear", "yarn", "longrope"})
_WHOLE_NUMBERS = frozenset({"I8", "I16", "I32", "I64", "F64"})
_MATRIX = re.compile(r"(?:token_embd|output|blk\.\d+\.(?:attn_(?:q|k|v|qkv|output)|ffn_(?:gate|up|down)))\.weight")


def abort_reason(arch: str, content: GgufContent) -> str:
    """Returns what would abort llama.cpp, as a clause whose subject is the file; empty if nothing was found."""
    metadata = content.metadata
    tokens = metadata.get("tokenizer.ggml.tokens")
    if isinstance(tokens, Skipped) and tokens.n_repeated:
        return f"is damaged: its vocabulary has {tokens.n_repeated:,} tokens twice"
    n_layers = _most(metadata, f"{arch}.block_count", 1)
    if not 0 < n_layers <= _MAX_LAYERS:
        return f"is damaged: it claims {n_layers:,} layers"
    n_experts, n_used = (_most(metadata, f"{arch}.expert_{name}", 0) for name in ("count", "used_count"))
    if n_experts > _MAX_EXPERTS or n_used > n_experts or (n_experts and not n_used):
        return f"is damaged: it claims to use {n_used:,} of {n_experts:,} experts"
    scaling = metadata.get(f"{arch}.rope.scaling.type", "none")
    if scaling not in _ROPE_SCALINGS:
        return "is damaged: its RoPE scaling is unknown"
    for key in ("layer_norm_epsilon", "layer_norm_rms_epsilon"):
        epsilon = metadata.get(f"{arch}.attention.{key}", 0.0)
        if not isinstance(epsilon, float) or not 0 <= epsilon < math.inf:
            return f"is damaged: its {key} is out of range"
    return _bad_tensor(content)


def _bad_tensor(content: GgufContent) -> str:
    for tensor in content.tensors:
        of_whole_numbers = tensor.type.name in _WHOLE_NUMBERS and _MATRIX.fullmatch(tensor.name)
        packed_norm = tensor.name.endswith("_norm.weight") and tensor.type.name != "F32"
        if of_whole_numbers or packed_norm:
            return f"is damaged: it has weights of type {tensor.type.name} where llama.cpp cannot use them"
    return ""


def _most(metadata: Mapping[str, Value | Skipped], key: str, default: int) -> int:
    """A count, or the largest of a count per layer; 0 for any other value."""
    value = metadata.get(key, default)
    if isinstance(value, list):
        value = max(value, default=0)
    return value if isinstance(value, int) else 0
