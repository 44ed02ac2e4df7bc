"""Fixtures of more than one folder's tests."""

from __future__ import annotations

import pytest

from app.store.store import Store


@pytest.fixture
async def store():
    store = await Store.in_memory()
    yield store
    await store.close()
