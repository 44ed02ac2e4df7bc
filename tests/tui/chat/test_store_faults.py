"""A store that cannot be opened, read or written: the chat goes on, says so, keeps what came, and saves it later."""

from __future__ import annotations

import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import apsw
import pytest
from textual.widgets import Static

from app.domain.conversation import Role, UserMessage
from app.store import thread as store_module
from app.store.store import Store
from app.tui.app import TokscopeApp
from app.tui.chat import other_windows
from app.tui.chat import screen as chat_screen
from app.tui.chat.history import HistoryPicker
from app.tui.common.options import ChatOptions
from app.tui.dialogs import picker as picker_module
from app.tui.dialogs.confirm import AskLine, Confirm
from tests.fakes.chat_app import answered, bar, contents, make_app, ready, reported, shown, until
from tests.fakes.scripted_engine import ScriptedEngine

LOCKED = "another program is using the database"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for a lock, and looks are made much more often, so that no test waits a second."""
    monkeypatch.setattr(other_windows, "LOOK_S", 0.02)
    monkeypatch.setattr(chat_screen, "LOOK_S", 0.02)
    monkeypatch.setattr(picker_module, "_AGAIN_S", 0.02)
    monkeypatch.setattr(store_module, "BUSY_MS", 1)
    monkeypatch.setattr(store_module, "_QUICK_MS", 1)


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A database with two conversations."""
    path = tmp_path / "data" / "chat.db"
    store = await Store.open(path)
    for title in ("sea", "sky"):
        conversation, asked = await store.start_conversation(title, UserMessage(f"about the {title}"))
        await store.add_message(conversation.id, asked.id, Role.ASSISTANT, f"{title} is blue")
    await store.close()
    return path


class Lock:
    """Another program that takes the whole database for itself."""

    def __init__(self, path: Path) -> None:
        self._connection = apsw.Connection(str(path))
        self._connection.pragma("locking_mode", "exclusive")
        self._connection.execute("BEGIN IMMEDIATE; UPDATE conversation SET title = title; COMMIT; BEGIN IMMEDIATE")

    def free(self) -> None:
        self._connection.close()


@pytest.fixture
def stored(path: Path) -> Callable[[], Awaitable[dict[str, list[str]]]]:
    async def read() -> dict[str, list[str]]:
        store = await Store.open(path)
        try:
            return {c.title: [m.content for m in await store.branch(c.id)] for c in await store.conversations()}
        finally:
            await store.close()

    return read


def kept_in(name: str) -> list[str]:
    assert stat.S_IMODE(Path(name).stat().st_mode) == 0o600
    return [line for line in Path(name).read_text().splitlines() if line in ("on", "answer")]


def detail(app: TokscopeApp) -> str:
    return str(app.screen.query_one(".dialog-detail", Static).render())


async def test_a_locked_store_is_said_and_what_was_kept_is_saved_later(tmp_path: Path, path: Path, stored) -> None:
    lock = Lock(path)
    app = make_app(tmp_path, ScriptedEngine(["answer", "more"]), store=Store(path))
    async with app.run_test(size=(100, 30)) as pilot:
        chat = await ready(app)
        await until(lambda: "not saved" in bar(chat, "header"))
        await until(lambda: reported(app) and LOCKED in reported(app)[0])
        await pilot.press(*"hello", "enter")
        await answered(chat)
        assert contents(chat) == ["hello", "answer"]
        lock.free()
        await until(lambda: "not saved" not in bar(chat, "header"))
        await until(lambda: reported(app)[-1] == "Saving works again; everything is saved.")
        assert contents(chat) == ["hello", "answer"]
        await pilot.press(*"on", "enter")
        await answered(chat, 4)
        assert "hello" in shown(chat)
    assert await app.close() == ""
    assert (await stored())["hello"] == ["hello", "answer", "on", "more"]


async def test_the_last_conversation_is_opened_once_the_store_is_free(tmp_path: Path, path: Path) -> None:
    lock = Lock(path)
    app = make_app(tmp_path, ScriptedEngine(), store=Store(path), options=ChatOptions(continue_last=True))
    async with app.run_test(size=(100, 30)):
        chat = await ready(app)
        await until(lambda: "not saved" in bar(chat, "header"))
        lock.free()
        await until(lambda: contents(chat) == ["about the sky", "sky is blue"])
    await app.close()


async def test_the_history_of_a_locked_store_says_so_and_fills_itself(tmp_path: Path, path: Path) -> None:
    lock = Lock(path)
    app = make_app(tmp_path, ScriptedEngine(), store=Store(path))
    async with app.run_test(size=(100, 30)) as pilot:
        chat = await ready(app)
        await pilot.press("ctrl+b")
        await until(lambda: isinstance(app.screen, HistoryPicker) and LOCKED in detail(app))
        await pilot.press(*"se")
        await until(lambda: LOCKED in detail(app))
        lock.free()
        picker = app.screen
        assert isinstance(picker, HistoryPicker)
        await until(lambda: [row.title for row in picker.rows] == ["sea"])
        await until(lambda: LOCKED not in detail(app))
        await pilot.press("enter")
        await until(lambda: contents(chat) == ["about the sea", "sea is blue"])
    await app.close()


async def test_a_store_that_fails_under_the_history_ends_nothing(tmp_path: Path, path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(), store=Store(path))
    async with app.run_test(size=(100, 30)) as pilot:
        chat = await ready(app)
        await pilot.press("ctrl+b")
        await until(lambda: isinstance(app.screen, HistoryPicker) and app.screen.highlighted)
        picker = app.screen
        assert isinstance(picker, HistoryPicker)
        lock = apsw.Connection(str(path))
        lock.execute("BEGIN IMMEDIATE")
        await pilot.press("f2")
        await until(lambda: isinstance(app.screen, AskLine))
        await pilot.press("x", "enter")
        await until(lambda: app.screen is picker and LOCKED in detail(app))
        await pilot.press("down", "ctrl+d")
        await until(lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(lambda: app.screen is picker and LOCKED in detail(app))
        assert [row.title for row in picker.rows] == ["sky", "sea"]
        lock.close()
        await pilot.press("ctrl+d")
        await until(lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(lambda: [row.title for row in picker.rows] == ["sky"])
        lock = apsw.Connection(str(path))
        lock.execute("BEGIN IMMEDIATE")
        await pilot.press("ctrl+z")
        await until(lambda: LOCKED in detail(app))
        lock.close()
        await pilot.press("ctrl+z")
        await until(lambda: len(picker.rows) == 2)
        await pilot.press("escape")
        await until(lambda: app.screen is chat)
    await app.close()


async def test_damaged_pages_end_neither_the_history_nor_the_inspector(tmp_path: Path, path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["fine"]), store=Store(path))
    async with app.run_test(size=(100, 30)) as pilot:
        chat = await ready(app)
        await pilot.press(*"hi", "enter")
        await answered(chat)
        store = chat.chat.session.store
        assert store

        async def damaged(*_: object) -> None:
            raise apsw.CorruptError("database disk image is malformed")

        def broken(_: object) -> None:
            raise apsw.CorruptError("database disk image is malformed")

        read = store._thread.read  # pyright: ignore[reportPrivateUsage] the one way to the file
        store._thread.read = lambda work: read(broken)  # pyright: ignore[reportPrivateUsage]
        await pilot.press("ctrl+b")
        await until(lambda: isinstance(app.screen, HistoryPicker) and "the database is damaged" in detail(app))
        await pilot.press("escape")
        await until(lambda: app.screen is chat)
        await pilot.press("f3")
        await until(lambda: app.screen is not chat)
        await pilot.pause()
        await pilot.press("escape")
        await until(lambda: app.screen is chat)
        store._thread.read = read  # pyright: ignore[reportPrivateUsage]
    await app.close()


async def test_a_read_only_store_is_read_and_said(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch, stored
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("app.store.database.private_file", refuse)
        app = make_app(tmp_path, ScriptedEngine(["answer"]), store=Store(path), options=ChatOptions(continue_last=True))
        async with app.run_test(size=(100, 30)) as pilot:
            chat = await ready(app)
            await until(lambda: contents(chat) == ["about the sky", "sky is blue"])
            assert "not saved" in bar(chat, "header")
            assert reported(app)[0].startswith(f"Not saved: {path}: cannot be written (Permission denied)")
            await pilot.press(*"on", "enter")
            await answered(chat, 4)
            await pilot.press("ctrl+b")
            await until(lambda: isinstance(app.screen, HistoryPicker) and len(app.screen.rows) == 2)
            await pilot.press("escape")
        lost = await app.close()
    before, after = "2 messages could not be saved in the history; saved to ", " instead"
    assert lost.startswith(before)
    assert kept_in(lost.removeprefix(before).removesuffix(after)) == ["on", "answer"]
    assert (await stored())["sky"] == ["about the sky", "sky is blue"]


async def test_what_could_not_be_saved_is_saved_at_the_end_if_that_is_possible_then(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch, stored
) -> None:
    monkeypatch.setattr(other_windows, "LOOK_S", 60.0)
    monkeypatch.setattr(chat_screen, "LOOK_S", 60.0)
    lock = Lock(path)
    app = make_app(tmp_path, ScriptedEngine(["answer"]), store=Store(path))
    async with app.run_test(size=(100, 30)) as pilot:
        chat = await ready(app)
        await until(lambda: "not saved" in bar(chat, "header"))
        await pilot.press(*"hello", "enter")
        await answered(chat)
        lock.free()
    assert await app.close() == ""
    assert (await stored())["hello"] == ["hello", "answer"]
