"""Reads the `lora` list of a model in `models.toml`: adapters with their scales."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

from app.config.document import Document
from app.config.fields import read_fields
from app.config.locator import Path as KeyPath
from app.domain.model import LoraAdapter


def read_adapters(document: Document, at: KeyPath, value: object) -> tuple[LoraAdapter, ...]:
    """Returns the usable adapters, named and with absolute paths; reports the others to `document`.

    A relative path starts at the folder of the file.
    """
    if not isinstance(value, list):
        document.report(at, '`lora` must be a list, as in `lora = [{ path = "style.gguf", scale = 1.0 }]`')
        return ()
    found: dict[str, LoraAdapter] = {}
    for number, item in enumerate(cast("list[object]", value), 1):
        if not isinstance(item, dict):
            document.report(at, f"`lora` has a wrong item {number}: it must be a table with a `path`")
            continue
        table = cast("dict[str, Any]", item)
        given = read_fields(document, at, table, LoraAdapter)
        if not given.get("path"):
            if "path" not in table or given.get("path") == "":
                document.report(at, f"`lora` has a wrong item {number}: it has no `path` of a GGUF file")
            continue
        path = document.path.parent / Path(os.path.expanduser(given["path"]))
        name = given.get("name") or path.stem
        if name in found:
            document.report(at, f"`lora` has two adapters `{name}`: give one of them a `name`")
            continue
        found[name] = LoraAdapter(path=str(path), name=name, scale=given.get("scale", 1.0))
    return tuple(found.values())
