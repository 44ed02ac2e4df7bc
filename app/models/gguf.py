"""Reads the header of a GGUF file in pure Python, and computes the memory that the model needs."""

from __future__ import annotations

import re
import stat
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from app.domain.errors import ModelError
from app.domain.fit import DeviceMemory, LoadPlan, fit
from app.domain.model import LoadOptions, LoraAdapter, ModelSizes
from app.domain.text import one_line
from app.models.ggml_types import FILE_TYPES
from app.models.gguf_checks import abort_reason
from app.models.gguf_parser import GgufContent, GgufError, Skipped, Tensor, Value, parse_gguf
from app.models.shards import other_parts
from app.protocol.events import Device

_INPUT = "token_embd.weight"
_BLOCK = re.compile(r"blk\.(\d+)\.")
_EXPERTS = re.compile(r"_exps\.")
"""A tensor with the matrices of all experts, as in `blk.0.ffn_up_exps.weight`."""
_DOWNLOAD_AGAIN = "Download the file again; the usual cause is a broken download."

Metadata = Mapping[str, Value | Skipped]


class GgufHeader(Struct, frozen=True, kw_only=True):
    """The figures of one model over all of its files."""

    path: Path
    """The first file."""
    architecture: str
    name: str
    """`general.name`, or the file's name."""
    quant: str
    """As in `Q4_1`: the file type, else the type of most weights."""
    n_ctx_train: int
    n_layers: int
    n_embd: int
    n_ff: int
    n_head: int
    n_head_kv: int
    n_embd_head_k: int
    """Elements of one key vector; with `n_head_kv`, `n_embd_head_v` and `n_layers` the size of the KV cache."""
    n_embd_head_v: int
    n_vocab: int
    n_params: int
    """Elements of all tensors."""
    size_bytes: int
    """Size of the files."""
    layer_bytes: tuple[int, ...]
    """Tensor bytes of each layer."""
    other_bytes: int
    """Tensor bytes outside the layers: embeddings, output."""
    output_bytes: int
    """Tensor bytes of the output layer; those of the token embeddings if the two are tied."""
    tied: bool
    """Whether output layer and token embeddings are tied, so that `other_bytes` counts them once."""
    pass_bytes: int = 0
    """Weight bytes that a decode of one token reads; of a mixture of experts, only the active ones."""


def read_header(path: Path) -> GgufHeader:
    """Reads and checks the header of a GGUF file and the length of the file.

    Raises:
        ModelError: the file is missing, unreadable, not GGUF, damaged, incomplete or not a language model.
    """
    content, size_bytes = read_content(path)
    arch = _text(content.metadata, "general.architecture")
    kind = _text(content.metadata, "general.type") or "model"
    if not arch:
        raise _refused(path, "is damaged: it has no architecture", _DOWNLOAD_AGAIN)
    if kind != "model" or arch == "clip":
        raise _refused(path, f"is not a language model ({one_line(kind)}, {one_line(arch)})", "")
    if reason := abort_reason(arch, content):
        raise _refused(path, reason, _DOWNLOAD_AGAIN)
    tensors = list(content.tensors)
    for part in other_parts(path, _number(path, content.metadata, "split.count", 1)):
        more, more_bytes = read_content(part)
        tensors += more.tensors
        size_bytes += more_bytes
    if not tensors:
        raise _refused(path, "has no weights", "It is only a vocabulary. Use the file of a whole model.")
    return _header(path, arch, content.metadata, tensors, size_bytes)


def _header(path: Path, arch: str, metadata: Metadata, tensors: list[Tensor], size_bytes: int) -> GgufHeader:
    def number(key: str, default: int | None = None) -> int:
        return _number(path, metadata, f"{arch}.{key}", default)

    n_layers = number("block_count")
    n_embd = number("embedding_length")
    n_head = number("attention.head_count", 0)
    head_size = n_embd // n_head if n_head else 0
    n_experts, n_used = number("expert_count", 0), number("expert_used_count", 0)
    layer_bytes, n_unread = [0] * n_layers, 0
    for tensor in tensors:
        block = _BLOCK.match(tensor.name)
        if block and len(block[1]) < 6 and int(block[1]) < n_layers:
            layer_bytes[int(block[1])] += tensor.n_bytes
            if n_experts > n_used > 0 and _EXPERTS.search(tensor.name):
                n_unread += tensor.n_bytes * (n_experts - n_used) // n_experts
    sizes = {tensor.name: tensor.n_bytes for tensor in tensors}
    tied = "output.weight" not in sizes
    output_bytes = sum(n_bytes for name, n_bytes in sizes.items() if name.startswith("output"))
    output_bytes += sizes.get(_INPUT, 0) if tied else 0
    return GgufHeader(
        path=path,
        architecture=one_line(arch),
        name=one_line(_text(metadata, "general.name") or path.stem),
        quant=_quant(metadata, tensors),
        n_ctx_train=number("context_length"),
        n_layers=n_layers,
        n_embd=n_embd,
        n_ff=number("feed_forward_length", 4 * n_embd),
        n_head=n_head,
        n_head_kv=number("attention.head_count_kv", n_head),
        n_embd_head_k=number("attention.key_length", head_size),
        n_embd_head_v=number("attention.value_length", head_size),
        n_vocab=_length(metadata.get("tokenizer.ggml.tokens")),
        n_params=sum(tensor.n_elements for tensor in tensors),
        size_bytes=size_bytes,
        layer_bytes=tuple(layer_bytes),
        other_bytes=sum(sizes.values()) - sum(layer_bytes),
        output_bytes=output_bytes,
        tied=tied,
        pass_bytes=sum(layer_bytes) - n_unread + output_bytes,
    )


def read_content(path: Path) -> tuple[GgufContent, int]:
    """Returns the parsed header of any GGUF file and its size in bytes. Raises ModelError."""
    try:
        info = path.stat()
        if stat.S_ISDIR(info.st_mode):
            raise _refused(path, "is a folder", "Name the .gguf file in it, or set `models_dir` in the config file.")
        if not stat.S_ISREG(info.st_mode):
            raise _refused(path, "is not a regular file", "")
        if not info.st_size:
            raise _refused(path, "is empty", _DOWNLOAD_AGAIN)
        with path.open("rb") as file:
            return parse_gguf(file, info.st_size), info.st_size
    except FileNotFoundError:
        raise _refused(path, "does not exist", "`tok models` lists the models that are there.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _refused(path, f"cannot be read: {reason}", "") from error
    except GgufError as error:
        raise _refused(path, str(error), _DOWNLOAD_AGAIN) from error


def _refused(path: Path, message: str, hint: str) -> ModelError:
    return ModelError(f"{one_line(str(path), 400)} {message}", hint)


def _text(metadata: Metadata, key: str) -> str:
    value = metadata.get(key, "")
    return value if isinstance(value, str) else ""


def _number(path: Path, metadata: Metadata, key: str, default: int | None) -> int:
    """Returns a count, or the largest of a count per layer. Without a `default` the key is required."""
    value = metadata.get(key, default)
    if isinstance(value, list) and value:
        value = max(value)
    if not isinstance(value, int) or value < 0:
        missing = "is damaged: it has no usable"
        raise _refused(path, f"{missing} `{one_line(key)}`", _DOWNLOAD_AGAIN)
    return int(value)


def _length(value: Value | Skipped | None) -> int:
    return value.n if isinstance(value, Skipped) else 0


def _quant(metadata: Metadata, tensors: list[Tensor]) -> str:
    file_type = metadata.get("general.file_type")
    if isinstance(file_type, int) and file_type in FILE_TYPES:
        return FILE_TYPES[file_type]
    sizes: Counter[str] = Counter()
    for tensor in tensors:
        sizes[tensor.type.name] += tensor.n_elements
    return sizes.most_common(1)[0][0]


def model_sizes(header: GgufHeader, adapter_bytes: int = 0) -> ModelSizes:
    """The sizes that `app.domain.fit` needs. The bytes of adapters are spread over the layers."""
    own_output = 0 if header.tied else header.output_bytes
    per_layer = -(-adapter_bytes // max(1, len(header.layer_bytes)))
    return ModelSizes(
        layer_bytes=tuple(n_bytes + per_layer for n_bytes in header.layer_bytes),
        input_bytes=header.other_bytes - own_output,
        output_bytes=header.output_bytes,
        n_embd=header.n_embd,
        n_ff=header.n_ff,
        n_head=header.n_head,
        kv_width=header.n_head_kv * (header.n_embd_head_k + header.n_embd_head_v),
        n_vocab=header.n_vocab,
        n_ctx_train=header.n_ctx_train,
        tied=header.tied,
        pass_bytes=header.pass_bytes,
    )


def plan_load(sizes: ModelSizes, devices: Sequence[Device], options: LoadOptions) -> LoadPlan:
    """Returns how an engine with `devices` would load the model now."""
    memories = [DeviceMemory(device.name, device.kind, device.free_bytes) for device in devices]
    return fit(sizes, memories, options)


def check_adapter(adapter: LoraAdapter, architecture: str) -> int:
    """Returns the size of the file in bytes. Raises ModelError if it is not an adapter for `architecture`."""
    path = Path(adapter.path)
    name = one_line(adapter.name or path.stem)
    try:
        content, size_bytes = read_content(path)
    except ModelError as error:
        raise ModelError(
            f"the adapter `{name}`: {error}", "Correct `lora` in the model's entry in models.toml."
        ) from error
    kinds = [content.metadata.get(key) for key in ("general.type", "adapter.type")]
    if kinds != ["adapter", "lora"]:
        what = one_line(str(kinds[0] or "model"))
        raise ModelError(
            f"the adapter `{name}`: {one_line(str(path), 400)} is not a LoRA adapter (its type is {what})",
            "Convert a PEFT adapter with llama.cpp's convert_lora_to_gguf.py.",
        )
    meant = content.metadata.get("general.architecture")
    if meant != architecture:
        raise ModelError(
            f"the adapter `{name}` is for models of architecture {one_line(str(meant))}, this one is {architecture}",
            "Use an adapter that was trained on this model.",
        )
    if not isinstance(content.metadata.get("adapter.lora.alpha"), float):
        raise ModelError(f"the adapter `{name}`: {one_line(str(path), 400)} is damaged: it has no alpha", "")
    return size_bytes
