"""The real worker, with and without a client."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.clients import client, start_client
from tests.process.raw_worker import RawWorker

__all__ = ["client", "start_client"]


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[RawWorker]:
    """The real worker, without a model."""
    raw = RawWorker(tmp_path / "log")
    yield raw
    raw.close()
