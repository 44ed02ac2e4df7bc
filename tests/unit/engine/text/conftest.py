from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.engine.text.renderer import Renderer


@pytest.fixture(scope="session")
def renderer() -> Iterator[Renderer]:
    """One template process for all tests; a test that brings it down gets a new one by itself."""
    shared = Renderer()
    shared.start()
    yield shared
    shared.close()
