"""Writes GGUF files in pure Python: tiny valid models for tests, and any damage that a test wants to do to one.

Tensor data is given as bytes, or left out and written as zeros.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from app.models.ggml_types import ARRAY, STRING, TENSOR_TYPES, VALUE_FORMATS

UINT32, INT32, FLOAT32, BOOL = 4, 5, 6, 7
F32, F16, Q4_1, Q8_0, I32 = 0, 1, 3, 8, 26


@dataclass(frozen=True)
class Typed:
    """A metadata value of a given GGUF type; a list is an array of it."""

    kind: int
    value: int | float | bool | str | list


@dataclass(frozen=True)
class TensorData:
    """A tensor: its dimensions (the row length first), its ggml type and, if they matter, its bytes."""

    name: str
    shape: tuple[int, ...]
    kind: int = F32
    data: bytes | None = None

    @property
    def n_bytes(self) -> int:
        """Size of the data as ggml counts it."""
        kind = TENSOR_TYPES[self.kind]
        n_elements = 1
        for n in self.shape:
            n_elements *= n
        return n_elements // kind.n_elements * kind.n_bytes


def gguf_bytes(
    metadata: dict[str, object], tensors: list[TensorData], *, version: int = 3, alignment: int = 32
) -> bytes:
    """Returns a whole GGUF file. Plain values get the types that real files have: u32, f32, bool, string."""
    body = bytearray()
    for tensor in tensors:
        body += tensor.data if tensor.data is not None else bytes(tensor.n_bytes)
        body += bytes(-len(body) % alignment)
    return gguf_head(metadata, tensors, version=version, alignment=alignment) + body


def gguf_head(
    metadata: dict[str, object], tensors: list[TensorData], *, version: int = 3, alignment: int = 32
) -> bytes:
    """Returns what comes before the tensors' data, padded. A value given as bytes is written as it is."""
    head = [b"GGUF", struct.pack("<IQQ", version, len(tensors), len(metadata))]
    head += [_text(key) + _value(value) for key, value in metadata.items()]
    offset = 0
    for tensor in tensors:
        head.append(_text(tensor.name) + struct.pack("<I", len(tensor.shape)))
        head.append(struct.pack(f"<{len(tensor.shape)}QIQ", *tensor.shape, tensor.kind, offset))
        n_bytes = tensor.n_bytes if tensor.data is None else len(tensor.data)
        offset += n_bytes + -n_bytes % alignment
    start = b"".join(head)
    return start + bytes(-len(start) % alignment)


def llama_metadata(*, n_layers: int = 2, n_embd: int = 32, n_vocab: int = 64, name: str = "Tiny") -> dict[str, object]:
    """Returns the metadata of a small llama, vocabulary and chat template included."""
    return {
        "general.architecture": "llama",
        "general.name": name,
        "general.file_type": 0,
        "llama.block_count": n_layers,
        "llama.context_length": 256,
        "llama.embedding_length": n_embd,
        "llama.feed_forward_length": 2 * n_embd,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": [f"t{i}" for i in range(n_vocab)],
        "tokenizer.ggml.token_type": Typed(INT32, [1] * n_vocab),
        "tokenizer.chat_template": "{{ messages }}",
    }


def llama_tensors(*, n_layers: int = 2, n_embd: int = 32, n_vocab: int = 64, kind: int = F32) -> list[TensorData]:
    """Returns the weights that `llama_metadata` asks for, all zeros (norms stay F32)."""
    kv = n_embd // 2
    tensors = [TensorData("token_embd.weight", (n_embd, n_vocab), kind), TensorData("output_norm.weight", (n_embd,))]
    for i in range(n_layers):
        shapes = {
            "attn_q": (n_embd, n_embd),
            "attn_k": (n_embd, kv),
            "attn_v": (n_embd, kv),
            "attn_output": (n_embd, n_embd),
            "ffn_gate": (n_embd, 2 * n_embd),
            "ffn_up": (n_embd, 2 * n_embd),
            "ffn_down": (2 * n_embd, n_embd),
        }
        tensors += [TensorData(f"blk.{i}.{name}.weight", shape, kind) for name, shape in shapes.items()]
        tensors += [TensorData(f"blk.{i}.{name}.weight", (n_embd,)) for name in ("attn_norm", "ffn_norm")]
    return tensors


def write_tiny_gguf(path: Path, **changes: object) -> Path:
    """Writes a valid two-layer llama to `path`; `changes` replace metadata keys (None takes one out)."""
    metadata = {key: value for key, value in (llama_metadata() | changes).items() if value is not None}
    path.write_bytes(gguf_bytes(metadata, llama_tensors()))
    return path


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _value(value: object) -> bytes:
    match value:
        case Typed(kind, list() as items):
            return struct.pack("<IIQ", ARRAY, kind, len(items)) + b"".join(_scalar(kind, item) for item in items)
        case Typed(kind, item):
            return struct.pack("<I", kind) + _scalar(kind, item)
        case bytes():
            return value
        case bool():
            return _value(Typed(BOOL, value))
        case int():
            return _value(Typed(UINT32, value))
        case float():
            return _value(Typed(FLOAT32, value))
        case str():
            return _value(Typed(STRING, value))
        case list():
            return _value(Typed(STRING, value))
    raise TypeError(type(value))


def _scalar(kind: int, value: object) -> bytes:
    return _text(str(value)) if kind == STRING else struct.pack(VALUE_FORMATS[kind], value)
