"""Opening: private files, migrations with a copy first, refusals, damaged files."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import apsw
import pytest

from app.domain.conversation import UserMessage
from app.domain.errors import StoreError
from app.store import database, schema
from app.store.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir(0o700)
    return tmp_path / "data" / "chat.db"


async def fill(path: Path, n: int = 1) -> None:
    store = await Store.open(path)
    for i in range(n):
        await store.start_conversation(f"title {i}", UserMessage(f"needle {i} " + "straw " * 400))
    await store.close()


async def titles(path: Path) -> list[str]:
    store = await Store.open(path)
    try:
        assert store.take_notices() == ()
        return [c.title for c in await store.conversations("needle")]
    finally:
        await store.close()


def data(path: Path) -> bytes:
    return path.read_bytes()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
async def test_everything_is_private_whatever_the_umask(path: Path):
    path = path.parent / "new" / "chat.db"
    old = os.umask(0)
    try:
        store = await Store.open(path)
        await store.start_conversation("t", UserMessage("q"))
        found = {p.relative_to(path.parent).as_posix(): mode(p) for p in path.parent.rglob("*") if p.is_file()}
        folders = {p.name: mode(p) for p in (path.parent, path.parent / "chat.db.live")}
        await store.close()
    finally:
        os.umask(old)
    (mark,) = (name for name in found if name.startswith("chat.db.live/"))
    assert found == {"chat.db": 0o600, "chat.db-wal": 0o600, "chat.db-shm": 0o600, mark: 0o600}
    assert folders == {"new": 0o700, "chat.db.live": 0o700}


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
async def test_a_file_that_others_could_read_is_made_private(path: Path):
    await fill(path)
    os.chmod(path, 0o644)
    assert await titles(path) == ["title 0"]
    assert mode(path) == 0o600


async def test_the_connection_is_durable_and_forgets_what_is_deleted(path: Path):
    store = await Store.open(path)
    connection = store._thread.database.connection
    values = [connection.pragma(name) for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")]
    await store.close()
    assert values == ["wal", 2, 1, 1]


async def test_a_clean_end_leaves_only_the_database(path: Path):
    await fill(path)
    assert sorted(p.name for p in path.parent.rglob("*")) == ["chat.db", "chat.db.live"]


async def test_an_older_database_is_migrated_after_a_copy(path: Path, monkeypatch):
    await fill(path)

    def add_column(connection: apsw.Connection) -> None:
        connection.execute("ALTER TABLE conversation ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'")

    monkeypatch.setattr(database, "MIGRATIONS", [*schema.MIGRATIONS, add_column])
    assert await titles(path) == ["title 0"]

    copy = path.with_name(f"chat.db.backup-v{len(schema.MIGRATIONS)}")
    assert mode(copy) == 0o600
    rows = {}
    for file in (path, copy):
        connection = apsw.Connection(str(file))
        columns = [row[1] for row in connection.execute("PRAGMA table_info(conversation)")]
        rows[file.name] = (connection.pragma("user_version"), "colour" in columns)
        connection.close()
    assert rows == {"chat.db": (len(schema.MIGRATIONS) + 1, True), copy.name: (len(schema.MIGRATIONS), False)}


async def test_a_migration_that_fails_changes_nothing(path: Path, monkeypatch):
    await fill(path)

    def break_off(connection: apsw.Connection) -> None:
        connection.execute("DELETE FROM conversation")
        connection.execute("SELECT nonsense")

    with monkeypatch.context() as patch:
        patch.setattr(database, "MIGRATIONS", [*schema.MIGRATIONS, break_off])
        with pytest.raises(StoreError):
            await Store.open(path)
    assert await titles(path) == ["title 0"]


async def test_a_database_of_a_newer_program_is_refused_untouched(path: Path, monkeypatch):
    await fill(path)
    before = data(path)
    monkeypatch.setattr(database, "MIGRATIONS", [])
    with pytest.raises(StoreError, match="newer") as caught:
        await Store.open(path)
    assert "Update tokscope" in caught.value.hint
    assert data(path) == before


async def test_a_database_of_another_program_is_refused_untouched(path: Path):
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE bookmark (url)")
    connection.close()
    before = data(path)
    with pytest.raises(StoreError, match="another program"):
        await Store.open(path)
    assert data(path) == before


@pytest.mark.parametrize("content", [b"not a database, " * 400, b"\0" * 64_560, b"SQLite format 3\0" + b"\xff" * 5000])
async def test_a_file_that_is_no_database_is_set_aside(path: Path, content: bytes):
    (path.parent / "chat.db.corrupt-1").write_text("an older one")
    Path.write_bytes(path, content)
    store = await Store.open(path)
    assert str(path) + ".corrupt-2" in store.take_notices()[0]
    assert await store.conversations() == []
    await store.start_conversation("works", UserMessage("q"))
    await store.close()
    assert (path.parent / "chat.db.corrupt-2").read_bytes() == content


def damage_a_leaf(path: Path) -> None:
    content = bytearray(path.read_bytes())
    at = content.rindex(b"needle") // 4096 * 4096
    content[at : at + 64] = b"\xff" * 64
    path.write_bytes(content)


async def test_damage_is_looked_for_after_an_unclean_end_only(path: Path):
    await fill(path, 20)
    damage_a_leaf(path)
    store = await Store.open(path)
    assert store.take_notices() == ()
    await store.close()

    (path.parent / "chat.db.live" / "0123456789abcdef").touch()
    store = await Store.open(path)
    assert "chat.db.corrupt-1" in store.take_notices()[0]
    await store.close()
    saved = await titles(path)
    assert 10 < len(saved) < 20


async def test_damage_met_while_running_is_reported_and_checked_at_the_next_start(path: Path):
    await fill(path, 20)
    damage_a_leaf(path)
    store = await Store.open(path)
    with pytest.raises(StoreError, match="damaged"):
        await asyncio.gather(*(store.branch(c.id) for c in await store.conversations()))
    await store.close()
    store = await Store.open(path)
    assert "chat.db.corrupt-1" in store.take_notices()[0]
    await store.close()


async def test_an_unclean_end_without_damage_loses_nothing(path: Path):
    await fill(path)
    (path.parent / "chat.db.live" / "0123456789abcdef").touch()
    assert await titles(path) == ["title 0"]
    assert list((path.parent / "chat.db.live").iterdir()) == []


async def test_purged_text_is_in_no_file(path: Path, monkeypatch):
    await fill(path)
    monkeypatch.setattr(database, "MIGRATIONS", [*schema.MIGRATIONS, lambda _: None])
    store = await Store.open(path)
    conversation, _ = await store.start_conversation("secrettitle", UserMessage("xyzzysecret " * 3000))
    (old,) = await store.conversations("needle")
    await store.purge(conversation.id)
    await store.purge(old.id)
    assert await store.conversations("xyzzysecret") == []
    files = {p.name: p.read_bytes() for p in path.parent.rglob("*") if p.is_file()}
    await store.close()
    assert [name for name, data in files.items() if any(w in data for w in (b"xyzzy", b"secrett", b"needle"))] == []


async def test_purged_text_leaves_the_log_once_nobody_reads_it(path: Path, monkeypatch):
    monkeypatch.setattr("app.store.thread.BUSY_MS", 50)
    store = await Store.open(path)
    conversation, _ = await store.start_conversation("secrettitle", UserMessage("xyzzysecret " * 300))
    copy = path.with_name(f"{path.name}.backup-v1")
    copy.write_text("xyzzysecret")
    reader = apsw.Connection(str(path))
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM message").get == 1
    await store.purge(conversation.id)
    assert not copy.exists()
    reader.close()
    await store.close()
    assert [p.name for p in path.parent.rglob("*") if p.is_file() and b"xyzzy" in p.read_bytes()] == []
