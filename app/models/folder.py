"""The GGUF files of the user's models folder, down to two folders below it (as AUTHOR/MODEL/FILE.gguf)."""

from __future__ import annotations

import os
from pathlib import Path

from app.models.shards import is_later_part, model_name

_PATTERNS = ("*.gguf", "*/*.gguf", "*/*/*.gguf")


def files_in_folder(folder: str | Path | None) -> dict[str, Path]:
    """Returns absolute paths by model name, sorted; the file nearest to the top wins a name.

    A split model is its first part. Projectors (`mmproj*`) are no models. A folder that is missing or cannot be read
    has no files.
    """
    if not folder:
        return {}
    root = Path(os.path.abspath(os.path.expanduser(folder)))
    files: dict[str, Path] = {}
    for pattern in _PATTERNS:
        try:
            found = sorted(root.glob(pattern))
        except OSError:
            continue
        for path in found:
            if not is_later_part(path) and not path.name.startswith("mmproj"):
                files.setdefault(model_name(path), path)
    return files
