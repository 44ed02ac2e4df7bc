"""Text that was not sent, kept by a running process for whoever comes after it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from app.domain.errors import StoreError
from app.store import database, schema
from app.store.store import Store

_KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from app.store.store import Store
async def main():
    store = await Store.open(Path(sys.argv[1]))
    await (store.keep_draft(sys.argv[2]) if sys.argv[2:] else store.take_drafts())
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


def killed_with(path: Path, *text: str) -> None:
    """A process that keeps the text, or takes what others kept where there is none, and is killed."""
    done = subprocess.run([sys.executable, "-c", _KILLED, str(path), *text], check=False)
    assert done.returncode == -9


async def taken(path: Path) -> str:
    store = await Store.open(path)
    try:
        return await store.take_drafts()
    finally:
        await store.close()


async def test_the_drafts_of_the_killed_are_taken_once_the_oldest_first(tmp_path: Path) -> None:
    killed_with(tmp_path / "chat.db", "one\r\nand a half")
    killed_with(tmp_path / "chat.db", "two ✓")
    taker, other = await Store.open(tmp_path / "chat.db"), await Store.open(tmp_path / "chat.db")
    assert await taker.take_drafts() == "one\r\nand a half\ntwo ✓"
    assert await other.take_drafts() == await taker.take_drafts() == ""
    await taker.close()
    await other.close()


async def test_a_running_processs_draft_is_left_to_it(tmp_path: Path) -> None:
    running, other = await Store.open(tmp_path / "chat.db"), await Store.open(tmp_path / "chat.db")
    await running.keep_draft("mine")
    assert await other.take_drafts() == ""
    await running.keep_draft("mine still")
    await running.close()
    assert await other.take_drafts() == "mine still"
    await other.close()


async def test_what_was_taken_and_not_yet_kept_again_outlives_the_taker(tmp_path: Path) -> None:
    killed_with(tmp_path / "chat.db", "precious")
    killed_with(tmp_path / "chat.db")
    assert await taken(tmp_path / "chat.db") == "precious"


async def test_what_is_taken_stands_before_what_was_kept_meanwhile(tmp_path: Path) -> None:
    killed_with(tmp_path / "chat.db", "old")
    taker = await Store.open(tmp_path / "chat.db")
    await taker.keep_draft("new")
    assert await taker.take_drafts() == "old"
    await taker.close()
    assert await taken(tmp_path / "chat.db") == "old\nnew"


async def test_an_end_with_nothing_unsent_leaves_nothing(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "chat.db")
    await store.keep_draft("sent by now")
    await store.keep_draft("")
    await store.close()
    with pytest.raises(StoreError):
        await store.keep_draft("a write that came late")
    assert await taken(tmp_path / "chat.db") == ""


async def test_half_a_character_is_no_error(store: Store) -> None:
    await store.keep_draft("\ud83d")


async def test_drafts_of_a_damaged_database_are_saved(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    store = await Store.open(path)
    await store.keep_draft("half a thought")
    await store.close()
    data = bytearray(path.read_bytes())
    data[:16] = b"\0" * 16
    path.write_bytes(data)
    assert await taken(path) == "half a thought"


async def test_an_older_database_gets_a_place_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "chat.db"
    with monkeypatch.context() as patch:
        patch.setattr(database, "MIGRATIONS", schema.MIGRATIONS[:5])
        await (await Store.open(path)).close()
    store = await Store.open(path)
    await store.keep_draft("unsent")
    await store.close()
    tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'draft'"
    assert [apsw.Connection(str(p)).execute(tables).get for p in (path, tmp_path / "chat.db.backup-v5")] == [1, 0]
