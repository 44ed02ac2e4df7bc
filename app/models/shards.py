"""Models split over several files, `NAME-00001-of-00003.gguf`, as llama.cpp's `llama_split_path` names them.

As llama.cpp does, this takes the first part and finds the others beside it.
"""

from __future__ import annotations

import re
from pathlib import Path

from app.domain.errors import ModelError
from app.domain.text import one_line

_SPLIT = re.compile(r"(?P<stem>.+)-(?P<part>\d{5})-of-(?P<parts>\d{5})\.gguf")


def model_name(path: Path) -> str:
    """The name of a model from its file: without extension and part number."""
    match = _SPLIT.fullmatch(path.name)
    return match["stem"] if match else path.stem


def is_later_part(path: Path) -> bool:
    """Whether `path` is a part of a split model, but not the first."""
    match = _SPLIT.fullmatch(path.name)
    return match is not None and int(match["part"]) != 1


def other_parts(path: Path, n_parts: int) -> list[Path]:
    """Returns the files after the first part of a model.

    Args:
        path: the first part.
        n_parts: `split.count` of its header.

    Raises:
        ModelError: `path` is not the first part, or another part is missing beside it.
    """
    match = _SPLIT.fullmatch(path.name)
    if is_later_part(path) and match:
        first = f"{match['stem']}-00001-of-{match['parts']}.gguf"
        raise ModelError(
            f"{one_line(path.name)} is a later part of a split model", f"Name the first: {one_line(first)}"
        )
    if n_parts <= 1:
        return []
    if match is None or int(match["parts"]) != n_parts:
        raise ModelError(
            f"{one_line(path.name)} is one of {n_parts:,} parts, but its name does not say so",
            f"llama.cpp finds the parts by name, as in model-00001-of-{n_parts:05}.gguf.",
        )
    parts = [path.with_name(f"{match['stem']}-{part:05}-of-{n_parts:05}.gguf") for part in range(2, n_parts + 1)]
    missing = [part.name for part in parts if not part.is_file()]
    if missing:
        raise ModelError(
            f"{one_line(path.name)}: {len(missing)} of its {n_parts} parts are missing",
            f"Put them beside it: {one_line(', '.join(missing))}",
        )
    return parts
