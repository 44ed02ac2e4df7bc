"""Presets: those shipped with the app and the user's `[presets.NAME]` tables, which take precedence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from app.config.document import Document
from app.config.fields import field_names, read_fields, subtable
from app.config.locator import KeyPath
from app.config.problems import nearest
from app.domain.errors import ConfigError
from app.domain.generation import ContextPolicy
from app.domain.sampling import CONSTRAINTS, WHOLE_REPLY, Preset, SamplingParams
from app.domain.text import one_line

DEFAULT_PRESET = "balanced"

SHIPPED_PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            name=DEFAULT_PRESET,
            description="Everyday chat; steady enough for very small models",
            sampling=SamplingParams(temperature=0.8, min_p=0.1, repeat_penalty=1.1),
        ),
        Preset(
            name="plain",
            description="Temperature and top-p alone, as most hosted models are sampled",
            sampling=SamplingParams(
                temperature=0.8,
                top_k=0,
                top_p=0.95,
                min_p=0.0,
                samplers=("temperature", "top-p"),
            ),
        ),
        Preset(
            name="precise",
            description="Facts, summaries, extraction: few surprises",
            system="You are a careful assistant. Answer briefly and exactly, and say so when you do not know.",
            sampling=SamplingParams(temperature=0.2, top_k=20, top_p=0.9, min_p=0.1, repeat_penalty=1.05),
        ),
        Preset(
            name="creative",
            description="Stories, names, ideas: unlikely words get their chance",
            system="You are an imaginative writer. Prefer the fresh and concrete over the usual phrase.",
            sampling=SamplingParams(temperature=1.2, top_k=0, top_p=1.0, min_p=0.05, repeat_penalty=1.1),
        ),
        Preset(
            name="deterministic",
            description="Always the most likely token: the same prompt gives the same reply",
            sampling=SamplingParams(temperature=0.0, seed=0),
        ),
        Preset(
            name="coding",
            description="Programs and commands: exact, repeats allowed, code in fenced blocks",
            system="You are an experienced programmer. Answer with working code in fenced Markdown blocks "
            "and only as much prose as the code needs.",
            sampling=SamplingParams(temperature=0.3, top_p=0.9, min_p=0.05, repeat_penalty=1.0),
        ),
    )
}


def find_preset(name: str, presets: Mapping[str, Preset]) -> Preset:
    """Returns the preset called `name`. Raises ConfigError that names the nearest one."""
    if name in presets:
        return presets[name]
    close = nearest(name, presets)
    hint = f"Did you mean `{close}`? " if close else ""
    raise ConfigError(f"there is no preset `{one_line(name)}`", f"{hint}There are: {', '.join(presets)}")


def checked_constraints(document: Document, at: KeyPath, values: dict[str, Any]) -> dict[str, Any]:
    """Returns the valid sampling fields of the table at `at`; reports the others.

    A constraint (schema, regex or grammar) replaces that of the preset's base.
    """
    good = dict(values)
    first, *others = [name for name in CONSTRAINTS if good.get(name) is not None] or [""]
    for name in others:
        document.report((*at, name), f"`{first}` and `{name}` exclude each other: set only one of them")
        del good[name]
    if first and (what := _wrong(first, good[first])):
        document.report((*at, first), f"`{first}` {what}")
        del good[first]
    taken = [name for name in CONSTRAINTS if name != first] if first in good else []
    return dict.fromkeys(taken, None) | good


def _wrong(name: str, text: str) -> str:
    if not text.strip():
        return "is empty"
    if name != "json_schema":
        return ""
    try:
        schema: object = json.loads(text)
    except json.JSONDecodeError as error:
        return f"is not JSON: line {error.lineno}, column {error.colno}: {error.msg}"
    except (RecursionError, ValueError) as error:
        return f"is not valid JSON: {error}"
    return "" if isinstance(schema, dict | bool) else 'must be a JSON object, as in {"type": "array"}'


class _PresetKeys(Struct):
    description: str = ""
    system: str | None = None
    model: str | None = None
    based_on: str | None = None
    context: ContextPolicy = "stop"


_SAMPLING = field_names(SamplingParams)
_LONGEST_CHAIN = 16


def read_presets(document: Document) -> tuple[dict[str, Preset], frozenset[str]]:
    """Returns the presets of `document` by name, and the names of those with mistakes.

    Wrong keys are reported and left out. A mistake also counts for every preset based on the faulty one.
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
        """Returns a preset of the file with its bases resolved; `users` are the presets that led here."""
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

    def _thinking(self, at: KeyPath, table: dict[str, Any]) -> dict[str, Any]:
        """Reads the table of parameters inside a thinking block."""
        at, given = (*at, "thinking"), subtable(self._document, at, table, "thinking")
        for key in WHOLE_REPLY.intersection(given):
            self._document.report((*at, key), f"`{key}` applies to the whole reply, not to thinking alone")
        own = {key: value for key, value in given.items() if key not in WHOLE_REPLY}
        return checked_constraints(self._document, at, read_fields(self._document, at, own, SamplingParams))

    def _base(self, name: str, based_on: str | None, users: tuple[str, ...]) -> Preset:
        default = SHIPPED_PRESETS.get(name, Preset(name=name))
        if based_on is None or (based_on == name and name in SHIPPED_PRESETS):
            return default
        at = ("presets", name, "based_on")
        if based_on in users:
            circle = " > ".join((*users[users.index(based_on) :], based_on))
            self._document.report(at, f"`based_on` is circular: {circle}")
            return default
        if len(users) > _LONGEST_CHAIN:
            self._document.report(at, f"`based_on` chains more than {_LONGEST_CHAIN} presets")
            return default
        if based_on in self._tables:
            return self._preset(based_on, users)
        if based_on in SHIPPED_PRESETS:
            return SHIPPED_PRESETS[based_on]
        known = [other for other in (*SHIPPED_PRESETS, *self._tables) if other != name]
        self._document.report(at, f"there is no preset `{based_on}`", suggest_from=known, name=based_on)
        return default
