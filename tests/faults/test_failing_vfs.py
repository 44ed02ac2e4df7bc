"""Whichever write fails, the store says so, keeps what it acknowledged, and works again when the disk does."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import apsw
import pytest

from app.domain.conversation import Role, UserMessage
from app.domain.errors import StoreError
from app.store.store import Store
from tests.faults.failing_vfs import failing_vfs


@pytest.mark.parametrize("error", [apsw.FullError, apsw.IOError], ids=["full", "broken"])
async def test_a_write_that_fails_loses_nothing_that_was_acknowledged(tmp_path: Path, error: type[apsw.Error]) -> None:
    failures: list[str] = []
    with failing_vfs(error) as vfs:
        store = await Store.open(tmp_path / "chat.db")
        conversation, message = await store.start_conversation("t", UserMessage("0"))
        acknowledged = [message]
        for n in range(1, 41):
            vfs.fails_at = n
            try:
                message = await store.add_message(conversation.id, acknowledged[-1].id, Role.USER, f"{n} " * 600)
                acknowledged.append(message)
            except StoreError as failure:
                failures.append(str(failure))
            vfs.fails_at = None
            assert await store.branch(conversation.id) == acknowledged
        await store.add_message(conversation.id, acknowledged[-1].id, Role.USER, "works again")
        await store.close()
    assert 5 < len(failures) < 40
    assert all(str(tmp_path) in failure for failure in failures)
    connection = apsw.Connection(str(tmp_path / "chat.db"))
    assert connection.pragma("integrity_check") == "ok"
    connection.close()


@pytest.mark.parametrize("n", range(1, 12))
async def test_a_disk_that_fails_while_the_store_opens_is_an_error_and_no_loss(tmp_path: Path, n: int) -> None:
    path = tmp_path / "chat.db"
    store = await Store.open(path)
    await store.start_conversation("kept", UserMessage("q"))
    await store.close()
    with failing_vfs(apsw.IOError) as vfs:
        vfs.fails_at = n
        store = Store(path)
        with suppress(StoreError):  # late writes are not reached
            await store.conversations()
        vfs.fails_at = None
        assert [each.title for each in await store.conversations()] == ["kept"]
        await store.close()
