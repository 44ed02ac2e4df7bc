"""What every test gets: folders of its own, a terminal environment that is the same everywhere, and no network."""

from __future__ import annotations

import gc
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.store.store import Store

_TERMINAL_VARIABLES = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "COLORTERM", "COLORFGBG", "COLUMNS", "LINES")


def _clean_environment() -> None:
    for name in list(os.environ):
        if name in _TERMINAL_VARIABLES or name.startswith(("TEXTUAL", "TOKSCOPE_", "RICH_")):
            del os.environ[name]
    os.environ["TERM"] = "xterm-256color"
    os.environ["TZ"] = "UTC"
    if hasattr(time, "tzset"):
        time.tzset()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # programs under test start as fast as a user's


# Textual reads its variables when it is imported, so this is not left to a fixture.
_clean_environment()


def pytest_collection_finish() -> None:
    """Lets the collector run less often: over a thousand apps it took a fifth of the time and freed little."""
    gc.freeze()
    gc.set_threshold(100_000, 10, 10)


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Configuration, data and cache of a test live and die with it."""
    for kind in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"TOKSCOPE_{kind}_DIR", str(tmp_path / "tokscope" / kind.lower()))


@pytest.fixture(autouse=True)
def store_threads_end(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The thread of a store that a test leaves open ends with the test: it would keep the app alive it started in."""
    stores: list[Store] = []
    init = Store.__init__

    def kept(self: Store, path: Path | None) -> None:
        init(self, path)
        stores.append(self)

    monkeypatch.setattr(Store, "__init__", kept)
    yield
    for store in stores:
        store._thread.shutdown()  # pyright: ignore[reportPrivateUsage] a closed store's has ended already


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection to anywhere but this machine fails the test."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise RuntimeError(f"a test connects to {address!r}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
