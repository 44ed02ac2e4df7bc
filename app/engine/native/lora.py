"""LoRA adapters: loaded once beside their model, and switched on a context by a set of scales.

They must be loaded before a context is made, whose graphs are sized for them; llama.cpp frees them with the model. One
context computes with one set: who asks for another one waits for its turn (`app.engine.core.admission`).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.domain.model import LoraAdapter
from app.domain.text import one_line
from app.engine.core.backend import AdapterSet, SamplingError
from app.engine.native import library
from app.engine.native.bindings import C, Native


class AdapterError(Exception):
    """llama.cpp refused an adapter; the message names it."""


class Adapters:
    """The adapters of one model."""

    def __init__(self, model: Native, wanted: Sequence[LoraAdapter]) -> None:
        """Loads them in the memory of the weights that they change. Raises AdapterError."""
        self.wanted = tuple(wanted)
        self._handles: dict[str, Native] = {}
        self._files: dict[str, tuple[str, int, int]] = {}
        for adapter in wanted:
            self._files[adapter.name] = _identity(Path(adapter.path))
            library.log_mark()
            handle = C.llama_adapter_lora_init(model, os.fsencode(adapter.path))
            if not handle:
                why = library.last_errors() or "llama.cpp could not load it"
                raise AdapterError(f"the adapter {one_line(adapter.name)} ({adapter.path}): {why}")
            self._handles[adapter.name] = handle
        self.own = self._set({adapter.name: adapter.scale for adapter in wanted})
        """What acts where a request does not say."""
        self.notices = [
            f"the adapter {one_line(adapter.name)} is meant to begin at a phrase (aLoRA); it acts on the whole text"
            for adapter in wanted
            if C.llama_adapter_get_alora_n_invocation_tokens(self._handles[adapter.name])
        ]

    def choose(self, lora: Mapping[str, float] | None) -> AdapterSet:
        """The set that a request means; see `SamplingParams.lora`. Raises SamplingError for a name that is none."""
        if lora is None:
            return self.own
        for name in lora:
            if name not in self._handles:
                known = ", ".join(one_line(each) for each in self._handles)
                there = f"it has {known}" if known else "it has none (`lora` of its entry in models.toml)"
                raise SamplingError(f"the model has no adapter `{one_line(name)}`: {there}")
        return self._set(lora)

    def apply(self, context: Native, adapters: AdapterSet) -> None:
        """Lets the next decodes of a context compute with this set and no other adapter."""
        n = len(adapters)
        handles = (C.llama_adapter_lora_p_ctypes * n)(*(self._handles[name] for name, _ in adapters))
        scales = (ctypes.c_float * n)(*(scale for _, scale in adapters))
        C.llama_set_adapters_lora(context, handles if n else None, n, scales if n else None)

    def facts(self, adapters: AdapterSet) -> list[tuple[str, int, int, float]]:
        """What tells cells computed with this set from others, also when the app is started again."""
        return [(*self._files[name], scale) for name, scale in adapters]

    def _set(self, scales: Mapping[str, float]) -> AdapterSet:
        # A scale of 0 is no adapter, so that both share their cells; the order of the names does not matter.
        return tuple(sorted((name, float(scale)) for name, scale in scales.items() if scale))


def _identity(path: Path) -> tuple[str, int, int]:
    """Taken before the file is loaded: one that is written over later is another one. A missing file is like none."""
    try:
        status = path.stat()
    except OSError:
        return str(path), -1, -1
    return str(path.resolve()), status.st_size, status.st_mtime_ns
