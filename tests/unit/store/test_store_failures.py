"""Full disk, files that cannot be written, files replaced underneath: a StoreError that says what and where."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from app.domain.conversation import Role, UserMessage
from app.domain.errors import StoreError
from app.store import thread as store_module
from app.store.store import Store

ROOT = Path(__file__).parents[3]


def run(script: str, path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, str(path)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, timeout=30, env=env, check=False)


async def test_a_full_database_is_reported_and_works_again_with_space(tmp_path: Path):
    path = tmp_path / "chat.db"
    store = await Store.open(path)
    conversation, message = await store.start_conversation("t", UserMessage("kept"))
    connection = store._thread.database.connection
    connection.pragma("max_page_count", connection.pragma("page_count") + 2)
    with pytest.raises(StoreError, match=r"disk is full, [\d,]+ bytes free") as caught:
        await store.add_message(conversation.id, message.id, Role.USER, "x" * 100_000)
    assert str(path) in str(caught.value)
    assert "memory" in caught.value.hint
    assert await store.branch(conversation.id) == [message]
    connection.pragma("max_page_count", 1_000_000)
    more = await store.add_message(conversation.id, message.id, Role.USER, "y" * 100_000)
    assert await store.branch(conversation.id) == [message, more]
    await store.close()


LIMITED = """
import asyncio, resource, sys
from pathlib import Path
from app.domain.conversation import UserMessage
from app.domain.errors import StoreError
from app.store.store import Store

async def main():
    store = await Store.open(Path(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
    for i in range(100):
        try:
            await store.start_conversation(f"n{i}", UserMessage("x" * 50_000))
        except StoreError as error:
            print(i, type(error).__name__, bool(error.hint))
            print(len(await store.conversations()))
            return
asyncio.run(main())
"""


@pytest.mark.skipif(os.name != "posix", reason="RLIMIT_FSIZE is POSIX")
async def test_a_file_that_may_not_grow_keeps_what_it_has(tmp_path: Path):
    path = tmp_path / "chat.db"
    done = run(LIMITED, path)
    (n_saved, name, has_hint), (n_found,) = (line.split() for line in done.stdout.splitlines())
    assert (name, has_hint, n_found, done.stderr) == ("StoreError", "True", n_saved, "")
    store = await Store.open(path)
    assert len(await store.conversations()) == int(n_saved) > 0
    await store.close()


async def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="Not a directory") as caught:
        await Store.open(tmp_path / "file" / "chat.db")
    assert "TOKSCOPE_DATA_DIR" in caught.value.hint
    with pytest.raises(StoreError, match="Is a directory"):
        await Store.open(tmp_path)


async def test_a_file_removed_or_replaced_underneath_is_noticed_and_the_one_there_now_is_used(tmp_path: Path):
    path = tmp_path / "chat.db"
    store = await Store.open(path)
    path.rename(tmp_path / "elsewhere.db")
    with pytest.raises(StoreError, match="removed or replaced"):
        await store.start_conversation("t", UserMessage("q"))
    await store.start_conversation("new", UserMessage("q"))
    other = tmp_path / "other.db"
    second = await Store.open(other)
    await second.start_conversation("theirs", UserMessage("q"))
    other.rename(path)
    for suffix in ("-wal", "-shm"):
        other.with_name(other.name + suffix).rename(path.with_name(path.name + suffix))
    with pytest.raises(StoreError, match="removed or replaced"):
        await store.conversations()
    # The log that lay at this name was another database's: leaving the old one must not have touched it.
    assert [c.title for c in await store.conversations()] == ["theirs"]
    await store.close()
    await second.close()


async def test_a_lock_that_is_never_given_back_is_reported_in_plain_words(tmp_path: Path, monkeypatch):
    path = tmp_path / "chat.db"
    store = await Store.open(path)
    holder = apsw.Connection(str(path))
    holder.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(store_module, "BUSY_MS", 20)
    with pytest.raises(StoreError, match="another program is using the database") as caught:
        await store.start_conversation("t", UserMessage("q"))
    assert "locked" not in str(caught.value)
    with pytest.raises(StoreError, match="another program is using the database"):
        await Store.open(path)
    holder.execute("ROLLBACK")
    holder.close()
    await store.start_conversation("t", UserMessage("q"))
    await store.close()
