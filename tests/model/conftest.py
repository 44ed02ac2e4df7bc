"""The real SmolLM2, found as the catalogue finds it and loaded once for all tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["GGML_NO_BACKTRACE"] = "1"

from app.domain.model import LoadOptions
from app.engine.native import library
from app.engine.native.context import NativeContext
from app.engine.native.loader import LoadedModel, load
from tests.fakes.smollm2 import smollm2_path


@pytest.fixture(scope="session")
def smollm2() -> Path:
    return smollm2_path()


@pytest.fixture(scope="session")
def loaded(smollm2: Path) -> Iterator[LoadedModel]:
    library.start()
    loaded = load(str(smollm2), LoadOptions(n_ctx=1024), lambda fraction: True)
    yield loaded
    loaded.close()


@pytest.fixture
def context(loaded: LoadedModel) -> NativeContext:
    """The loaded model's context with an empty cache."""
    loaded.context.clear_abort()
    for seq_id in range(loaded.context.n_slots):
        loaded.context.clear(seq_id)
    return loaded.context
