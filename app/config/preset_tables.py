"""Reads the `[presets.NAME]` tables of a settings file: sampling parameters flat beside the preset's own keys.

A preset starts from the preset named by `based_on` (shipped or the user's own), else from one of its own name that is
shipped, else from the engine's defaults.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from app.config.constraints import checked_constraints
from app.config.document import Document
from app.config.fields import field_names, read_fields, subtable
from app.config.locator import Path
from app.config.shipped_presets import SHIPPED_PRESETS
from app.domain.generation import ContextPolicy
from app.domain.preset import Preset
from app.domain.sampling import WHOLE_REPLY, SamplingParams


class _PresetKeys(Struct):
    description: str = ""
    system: str | None = None
    model: str | None = None
    based_on: str | None = None
    context: ContextPolicy = "stop"


_SAMPLING = field_names(SamplingParams)
_LONGEST_CHAIN = 16


def read_presets(document: Document) -> tuple[dict[str, Preset], frozenset[str]]:
    """Returns the presets of `document` by name, and the names of those that a mistake is in.

    Wrong keys are reported and left out. A mistake counts for every preset that is based on the one that it is in.
    """
    reader = _Reader(document)
    return reader.read(), frozenset(reader.flawed)


class _Reader:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._tables = subtable(document, (), document.data, "presets")
        self._done: dict[str, Preset] = {}
        self.flawed: set[str] = set()

    def read(self) -> dict[str, Preset]:
        for name in self._tables:
            self._preset(name, ())
        return self._done

    def _preset(self, name: str, users: tuple[str, ...]) -> Preset:
        """Returns a preset of the file, with those that it is based on; `users` are those that asked for it."""
        if name in self._done:
            return self._done[name]
        n_before = len(self._document.problems)
        table = subtable(self._document, ("presets",), self._tables, name)
        at = ("presets", name)
        own = read_fields(self._document, at, table, _PresetKeys, also=_SAMPLING)
        based_on = own.pop("based_on", None)
        base = self._base(name, based_on, (*users, name))
        flat = {key: value for key, value in table.items() if key in _SAMPLING and key != "thinking"}
        sampling = checked_constraints(self._document, at, read_fields(self._document, at, flat, SamplingParams))
        thinking = base.sampling.thinking | self._thinking(at, table)
        sampling["thinking"] = {key: value for key, value in thinking.items() if value is not None}
        preset = msgspec.structs.replace(
            base, name=name, sampling=msgspec.structs.replace(base.sampling, **sampling), **own
        )
        self._done[name] = preset
        if len(self._document.problems) > n_before or based_on in self.flawed:
            self.flawed.add(name)
        return preset

    def _thinking(self, at: Path, table: dict[str, Any]) -> dict[str, Any]:
        """Reads the table of what is different inside a thinking block."""
        at, given = (*at, "thinking"), subtable(self._document, at, table, "thinking")
        for key in WHOLE_REPLY.intersection(given):
            self._document.report((*at, key), f"`{key}` holds for the whole reply, not for thinking alone")
        own = {key: value for key, value in given.items() if key not in WHOLE_REPLY}
        return checked_constraints(self._document, at, read_fields(self._document, at, own, SamplingParams))

    def _base(self, name: str, based_on: str | None, users: tuple[str, ...]) -> Preset:
        default = SHIPPED_PRESETS.get(name, Preset(name=name))
        if based_on is None or (based_on == name and name in SHIPPED_PRESETS):
            return default
        at = ("presets", name, "based_on")
        if based_on in users:
            circle = " > ".join((*users[users.index(based_on) :], based_on))
            self._document.report(at, f"`based_on` goes round in a circle: {circle}")
            return default
        if len(users) > _LONGEST_CHAIN:
            self._document.report(at, f"more than {_LONGEST_CHAIN} presets are based on each other")
            return default
        if based_on in self._tables:
            return self._preset(based_on, users)
        if based_on in SHIPPED_PRESETS:
            return SHIPPED_PRESETS[based_on]
        known = [other for other in (*SHIPPED_PRESETS, *self._tables) if other != name]
        self._document.report(at, f"there is no preset `{based_on}`", suggest_from=known, name=based_on)
        return default
