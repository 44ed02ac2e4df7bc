"""A database that cannot be written can be read, whatever the last writer left; and written again when it can be."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import apsw
import pytest

from app.domain.conversation import Role, UserMessage
from app.domain.errors import StoreError
from app.store import database, schema
from app.store.store import Store

ROOT = Path(__file__).parents[3]
READER = """
import asyncio, os, sys
from pathlib import Path
from app.domain.errors import StoreError
from app.store.store import Store
if os.geteuid() == 0:
    os.setuid(65534)
async def main():
    store = await Store.open(Path(sys.argv[1]))
    print(store.read_only)
    (found,) = await store.conversations("needle")
    print([m.content for m in await store.branch(found.id)])
    for _ in range(2):
        try:
            await store.rename(found.id, "other")
        except StoreError as error:
            print(error, error.hint)
    await store.close()
asyncio.run(main())
"""
posix = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")


@pytest.fixture
def path() -> Generator[Path]:
    # Not pytest's folder: each of its runs takes the others' right to look into it away.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        home.mkdir()
        yield home / "chat.db"


async def write(path: Path) -> Store:
    store = await Store.open(path)
    conversation, asked = await store.start_conversation("t", UserMessage("needle"))
    await store.add_message(conversation.id, asked.id, Role.ASSISTANT, "straw")
    return store


def data(path: Path) -> bytes:
    return path.read_bytes()


def names(path: Path) -> set[str]:
    return {each.name for each in path.parent.iterdir()}


def run_reader(path: Path) -> subprocess.CompletedProcess[str]:
    """Runs the reader as a user who may not write."""
    for each in path.parent.rglob("*"):
        each.chmod(0o755 if each.is_dir() else 0o444)
    path.parent.chmod(0o555)
    command = [sys.executable, "-c", READER, str(path)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env=env, check=False)
    finally:
        path.parent.chmod(0o755)


def read(path: Path) -> list[str]:
    done = run_reader(path)
    assert done.stderr == ""
    return done.stdout.splitlines()


def copy_with_log(source: Path, target: Path) -> None:
    for suffix in ("", "-wal"):
        shutil.copy(source.with_name(source.name + suffix), target.with_name(target.name + suffix))
    assert target.with_name(target.name + "-wal").stat().st_size


def assert_read(path: Path, lines: list[str]) -> None:
    reason = f"{path}: cannot be written (Permission denied)"
    assert lines == [
        reason,
        "['needle', 'straw']",
        *[f"{reason} Make the folder writable, or set TOKSCOPE_DATA_DIR to a writable one."] * 2,
    ]


@posix
async def test_what_was_closed_is_read(path: Path):
    await (await write(path)).close()
    before = data(path)
    assert_read(path, read(path))
    assert data(path) == before
    assert names(path) == {"chat.db", "chat.db.live"}


@posix
async def test_what_another_program_has_open_is_read(path: Path):
    store = await write(path)
    assert_read(path, read(path))
    await store.close()


@posix
async def test_the_log_of_a_dead_program_is_read(path: Path, tmp_path: Path):
    store = await write(tmp_path / "other.db")
    copy_with_log(tmp_path / "other.db", path)
    await store.close()
    assert_read(path, read(path))


@posix
async def test_an_older_database_is_read_with_the_tables_of_now(path: Path, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        patch.setattr(database, "MIGRATIONS", schema.MIGRATIONS[:1])
        connection = database.Database(path).connection
        connection.execute("INSERT INTO conversation (id, title, created_ms, updated_ms) VALUES (1, 't', 1, 1)")
        connection.execute(
            "INSERT INTO message (id, conversation_id, parent_id, role, content, state, created_ms) VALUES"
            " (1, 1, NULL, 'user', 'needle', 'done', 1), (2, 1, 1, 'assistant', 'straw', 'done', 1)"
        )
        connection.execute("UPDATE conversation SET tip_id = 2")
        connection.close()
    before = data(path)
    assert_read(path, read(path))
    assert data(path) == before


@posix
async def test_a_file_that_is_not_there_is_an_error(path: Path):
    done = run_reader(path)
    assert f"StoreError: {path}: cannot be opened or written (Permission denied)" in done.stderr


async def test_it_is_written_once_that_is_possible(path: Path, monkeypatch: pytest.MonkeyPatch):
    await (await write(path)).close()

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(database, "private_file", refuse)
        store = await Store.open(path)
        (found,) = await store.conversations()
        with pytest.raises(StoreError, match="cannot be written"):
            await store.rename(found.id, "other")
        with pytest.raises(StoreError, match="cannot be written"):
            await store.check()
        assert await store.conversations() == [found]
    await store.check()
    await store.rename(found.id, "other")
    assert [c.title for c in await store.conversations()] == ["other"]
    await store.close()


async def test_a_database_on_a_full_disk_is_read(path: Path, monkeypatch: pytest.MonkeyPatch):
    await (await write(path)).close()

    def full(path: Path) -> None:
        raise apsw.FullError("database or disk is full")

    monkeypatch.setattr(database, "private_file", full)
    store = await Store.open(path)
    assert "the disk is full" in str(store.read_only)
    assert [m.content for m in await store.branch(1)] == ["needle", "straw"]
    await store.close()
