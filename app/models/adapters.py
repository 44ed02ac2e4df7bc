"""What a LoRA adapter in GGUF says of itself, read before the engine is asked to load it beside a model."""

from __future__ import annotations

from pathlib import Path

from app.domain.errors import ModelError
from app.domain.model import LoraAdapter
from app.domain.text import one_line
from app.models.gguf import read_content


def check_adapter(adapter: LoraAdapter, architecture: str) -> int:
    """Returns the size of the file in bytes. Raises ModelError where it cannot be an adapter for `architecture`."""
    path = Path(adapter.path)
    name = one_line(adapter.name or path.stem)
    try:
        content, size_bytes = read_content(path)
    except ModelError as error:
        raise ModelError(
            f"the adapter `{name}`: {error}", "`lora` of the model's entry in models.toml names it."
        ) from error
    kinds = [content.metadata.get(key) for key in ("general.type", "adapter.type")]
    if kinds != ["adapter", "lora"]:
        what = one_line(str(kinds[0] or "model"))
        raise ModelError(
            f"the adapter `{name}`: {one_line(str(path), 400)} is no LoRA adapter (its type is {what})",
            "llama.cpp's convert_lora_to_gguf.py makes one of a PEFT adapter.",
        )
    meant = content.metadata.get("general.architecture")
    if meant != architecture:
        raise ModelError(
            f"the adapter `{name}` is for models of architecture {one_line(str(meant))}, this one is {architecture}",
            "An adapter works only with the model that it was trained on.",
        )
    if not isinstance(content.metadata.get("adapter.lora.alpha"), float):
        raise ModelError(f"the adapter `{name}`: {one_line(str(path), 400)} is damaged: it has no alpha", "")
    return size_bytes
