"""The keys of a model that a server runs, read from its entry of models.toml."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from app.config.document import Document
from app.config.fields import field_names, read_fields
from app.config.locator import KeyPath
from app.domain.remote import SOURCE, RemoteModel, is_secret_header, read_source

REMOTE_KEYS = [name for name in field_names(RemoteModel) if name not in ("url", "model")]
"""Keys that only such a model has; where it lies is in `source`."""

_OPTIONS = ("n_ctx",)
"""Load options that mean something to it."""


def read_remote(
    document: Document, at: KeyPath, table: dict[str, Any], source: str, base: RemoteModel | None
) -> RemoteModel | None:
    """Reads the server of one entry, None if the model is a file. Reports wrong keys to `document`.

    Args:
        document: the file, which takes the problems.
        at: where `table` stands in it.
        table: the keys of the entry.
        source: the entry's `source`, empty if it gives none.
        base: the server of the entry that this one overlays.

    Raises:
        ValueError: `source` names no server.
    """
    if source and not source.startswith(SOURCE):
        base = None
    elif source:
        base = read_source(source)
    given = read_fields(document, at, {key: value for key, value in table.items() if key in REMOTE_KEYS}, RemoteModel)
    if base is None:
        for key in (key for key in REMOTE_KEYS if key in table):
            document.report((*at, key), f"`{key}` needs a `source` that begins with `{SOURCE}`")
        return None
    if "headers" in given:
        given["headers"] = _headers(document, (*at, "headers"), given["headers"])
    if given.get("ca_file"):
        given["ca_file"] = str(document.path.parent / Path(os.path.expanduser(given["ca_file"])))
    return replace(base, **given)


def report_local_keys(document: Document, at: KeyPath, options: dict[str, Any]) -> None:
    """Reports load options of a model that a server loads."""
    for key in options:
        if key not in _OPTIONS:
            document.report((*at, key), f"`{key}` has no effect: a server loads this model")


def _headers(document: Document, at: KeyPath, headers: dict[str, str]) -> dict[str, str]:
    good: dict[str, str] = {}
    for name, value in headers.items():
        if is_secret_header(name):
            document.report((*at, name), f"`{name}` is secret: name a variable that holds the key in `api_key_env`")
        elif not (name and f"{name}{value}".isascii() and f"{name}{value}".isprintable() and " " not in name):
            document.report((*at, name), f"`{name}` cannot be sent: a header is printable ASCII on one line")
        else:
            good[name] = value
    return good
