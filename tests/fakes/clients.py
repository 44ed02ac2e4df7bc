"""Clients over a fake and the real worker that are always closed, with graces short enough for tests."""

from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from app.client.connection import Graces
from app.client.worker_client import WorkerClient
from tests.fakes.fake_worker import fake_worker


@pytest.fixture
async def start_client(tmp_path: Path) -> AsyncGenerator[Callable[..., WorkerClient]]:
    """`start_client("--tokens", "3", …, **WorkerClient's)`: options of the fake worker."""
    clients: list[WorkerClient] = []

    def make(*options: str, **others) -> WorkerClient:
        graces = others.pop("graces", Graces(hello_s=20.0, abort_s=20.0, cancel_load_s=20.0, exit_s=5.0))
        client = WorkerClient(tmp_path / "engine.log", argv=fake_worker(*options), graces=graces, **others)
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.close()


@pytest.fixture
async def client(tmp_path: Path) -> AsyncGenerator[WorkerClient]:
    """A client over the real worker, which is started by the first call."""
    client = WorkerClient(tmp_path / "engine.log", graces=Graces(abort_s=10.0, exit_s=10.0, cancel_load_s=20.0))
    yield client
    await client.close()
