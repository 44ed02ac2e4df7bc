"""The catalogue of models: the shipped `models.toml`, overlaid by the user's, with the LoRA adapters of each model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec import Struct

from app.config.document import Document, read_document
from app.config.fields import field_names, read_fields, subtable
from app.config.locator import KeyPath
from app.config.paths import models_toml, user_models_file
from app.config.problems import Problem
from app.config.remote_models import REMOTE_KEYS, read_remote, report_local_keys
from app.domain.model import LoadOptions, LoraAdapter, ModelSpec
from app.domain.remote import SOURCE


def read_adapters(document: Document, at: KeyPath, value: object) -> tuple[LoraAdapter, ...]:
    """Returns the usable adapters, named and with absolute paths; reports the others to `document`.

    A relative path is relative to the folder of the file.
    """
    if not isinstance(value, list):
        document.report(at, '`lora` must be a list, as in `lora = [{ path = "style.gguf", scale = 1.0 }]`')
        return ()
    found: dict[str, LoraAdapter] = {}
    for number, item in enumerate(cast("list[object]", value), 1):
        if not isinstance(item, dict):
            document.report(at, f"`lora`: item {number} must be a table with a `path`")
            continue
        table = cast("dict[str, Any]", item)
        given = read_fields(document, at, table, LoraAdapter)
        if not given.get("path"):
            if "path" not in table or given.get("path") == "":
                document.report(at, f"`lora`: item {number} needs a `path`, the path of a GGUF file")
            continue
        path = document.path.parent / Path(os.path.expanduser(given["path"]))
        name = given.get("name") or path.stem
        if name in found:
            document.report(at, f"`lora` has two adapters `{name}`: give one of them a `name`")
            continue
        found[name] = LoraAdapter(path=str(path), name=name, scale=given.get("scale", 1.0))
    return tuple(found.values())


PACKAGE_SOURCE = "package:"
"""Prefix of a `source` inside an installed Python package."""


class Catalogue(Struct, frozen=True, kw_only=True):
    """The models by name, the name of the default model, and the problems of the files."""

    models: dict[str, ModelSpec]
    default: str
    problems: list[Problem]
    flawed: frozenset[str] = frozenset()
    """Names of the entries with mistakes; their valid parts are in `models`."""


class _EntryKeys(Struct):
    source: str = ""
    title: str = ""
    license: str = ""
    install: str = ""


_OPTIONS = [name for name in field_names(LoadOptions) if name != "remote"]


def load_catalogue(user_file: Path | None = None) -> Catalogue:
    """Reads both catalogues. Never raises for the content of the files."""
    models: dict[str, ModelSpec] = {}
    default = ""
    flawed: set[str] = set()
    problems: list[Problem] = []
    for path in (models_toml(), user_file or user_models_file()):
        document = read_document(path)
        flawed |= _read_models(document, models)
        default = _read_default(document, models) or default
        problems += document.sorted_problems()
    default = default or next(iter(models), "")
    return Catalogue(models=models, default=default, problems=problems, flawed=frozenset(flawed))


def _read_models(document: Document, models: dict[str, ModelSpec]) -> set[str]:
    """Adds the entries of one file to `models`; returns the names of those with mistakes."""
    for key in document.data:
        if key not in {"default", "models"}:
            document.report((key,), f"unknown key `{key}`", suggest_from=["default", "models"])
    tables = subtable(document, (), document.data, "models")
    flawed: set[str] = set()
    for name in tables:
        n_before = len(document.problems)
        _read_entry(document, name, subtable(document, ("models",), tables, name), models)
        if len(document.problems) > n_before:
            flawed.add(name)
    return flawed


def _read_entry(document: Document, name: str, table: dict[str, Any], models: dict[str, ModelSpec]) -> None:
    at = ("models", name)
    own = read_fields(document, at, table, _EntryKeys, also=[*_OPTIONS, *REMOTE_KEYS])
    flat = {key: value for key, value in table.items() if key in _OPTIONS and key != "lora"}
    options: dict[str, Any] = read_fields(document, at, flat, LoadOptions)
    if "lora" in table:
        options["lora"] = read_adapters(document, (*at, "lora"), table["lora"])
    base = models.get(name, ModelSpec(name=name, source=""))
    try:
        remote = read_remote(document, at, table, own.get("source", ""), base.options.remote)
    except ValueError as error:
        document.report((*at, "source"), str(error))
        return
    if remote:
        report_local_keys(document, at, options)
    if own.get("source"):
        own["source"] = _absolute(own["source"], document.path.parent)
    elif name not in models:
        if "source" not in table or own.get("source") == "":
            document.report(at, f"`models.{name}` needs a `source`: the path of a GGUF file, or `openai:URL#MODEL`")
        return
    merged = msgspec.structs.replace(base.options, **options, remote=remote)
    models[name] = msgspec.structs.replace(base, options=merged, **own)


def _absolute(source: str, folder: Path) -> str:
    return source if source.startswith((PACKAGE_SOURCE, SOURCE)) else str(folder / Path(os.path.expanduser(source)))


def _read_default(document: Document, models: dict[str, ModelSpec]) -> str:
    default = document.data.get("default", "")
    if not isinstance(default, str):
        document.report(("default",), "`default` must be the name of a model")
    elif default and default not in models:
        document.report(("default",), f"there is no model `{default}`", suggest_from=list(models), name=default)
    else:
        return default
    return ""
