"""The user's `config.toml`: every setting, its default and its limits.

Valid settings apply; the others keep their defaults and are reported. The TUI checks command ids under `[keys]` and
theme names.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from app.config.document import Document, read_document
from app.config.fields import read_fields, subtable
from app.config.paths import config_file
from app.config.presets import DEFAULT_PRESET, SHIPPED_PRESETS, read_presets
from app.config.problems import Problem
from app.domain.sampling import Preset


class TraceSettings(Struct, frozen=True, kw_only=True):
    """`[trace]`: which parts of each reply's trace are stored."""

    keep: bool = True
    """Whether to store a trace with each reply."""
    max_mib: Annotated[int, Meta(ge=1, le=1_048_576)] = 256
    """Limit for all traces in the database, in MiB; the oldest are deleted first."""
    stages: bool = False
    """Whether the chat records the sampler's stages and draws from the start; costs time per token."""

    @property
    def max_bytes(self) -> int:
        """`max_mib` in bytes."""
        return self.max_mib << 20


class Settings(Struct, frozen=True, kw_only=True):
    """The settings of `config.toml`. The fields above `trace` are its top-level keys."""

    model: str | None = None
    """Catalogue name, name of a file in `models_dir`, or path of a GGUF file; None is the catalogue's default."""
    preset: str = DEFAULT_PRESET
    theme: str = "auto"
    """Name of a theme; `auto` follows the terminal's background."""
    models_dir: str | None = None
    """A folder of GGUF files, `~` expanded; a relative path is relative to the folder of `config.toml`."""
    trace_top_k: Annotated[int, Meta(ge=0, le=100)] = 40
    """Number of alternatives stored with each token."""
    show_panels: bool = True
    fps: Annotated[int, Meta(ge=1, le=120)] | None = None
    """Maximum screen updates per second while text streams; None lets the app choose."""
    speculation: Literal["off", "ngram"] = "off"
    """Whether to draft tokens by lookup in the text so far; does not change the distribution of replies."""
    trace: TraceSettings = TraceSettings()
    """`[trace]`"""
    keys: dict[str, str] = {}
    """`[keys]`: command id to key, as in `stop = "ctrl+x"`; the TUI knows the ids."""
    presets: dict[str, Preset] = {}
    """`[presets.NAME]`: the user's presets, with their bases resolved."""


class LoadedSettings(Struct, frozen=True, kw_only=True):
    """The valid settings and the problems of the file."""

    settings: Settings
    problems: list[Problem]
    given: frozenset[str] = frozenset()
    """The valid top-level keys that the file sets."""
    flawed_presets: frozenset[str] = frozenset()
    """Names of the user's presets with a mistake, in them or in a base."""


def load_settings(path: Path | None = None) -> LoadedSettings:
    """Reads `config.toml`, or the file at `path`; a missing one gives the defaults. Never raises for its content."""
    document = read_document(path or config_file())
    flat = {key: value for key, value in document.data.items() if key not in {"trace", "keys", "presets"}}
    values = read_fields(document, (), flat, Settings)
    if models_dir := values.get("models_dir"):
        values["models_dir"] = str(document.path.parent / Path(os.path.expanduser(models_dir)))
    presets, flawed = read_presets(document)
    if (preset := values.get("preset", DEFAULT_PRESET)) not in presets and preset not in SHIPPED_PRESETS:
        known = [*SHIPPED_PRESETS, *presets]
        document.report(("preset",), f"there is no preset `{preset}`", suggest_from=known, name=preset)
        del values["preset"]
    given = frozenset(values)
    trace = subtable(document, (), document.data, "trace")
    values["trace"] = TraceSettings(**read_fields(document, ("trace",), trace, TraceSettings))
    settings = Settings(**values, keys=_read_keys(document), presets=presets)
    return LoadedSettings(settings=settings, problems=document.sorted_problems(), given=given, flawed_presets=flawed)


def _read_keys(document: Document) -> dict[str, str]:
    keys: dict[str, str] = {}
    for command, key in subtable(document, (), document.data, "keys").items():
        if isinstance(key, str) and key:
            keys[command] = key
        else:
            document.report(("keys", command), f'`{command}` must be the name of a key, as in "ctrl+r"')
    return keys


def load_presets(settings: Settings) -> dict[str, Preset]:
    """Returns every preset by name, the shipped ones first."""
    return SHIPPED_PRESETS | settings.presets
