"""What was written and never sent is there again in the next session, whatever ended the one before."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

from app.domain.conversation import UserMessage
from app.store.store import Store
from tests.e2e.terminal import Terminal
from tests.fakes.chat_app import answered, make_app, ready, until
from tests.fakes.scripted_engine import ScriptedEngine


async def unsent(file: Path) -> str:
    store = await Store.open(file)
    try:
        return await store.take_drafts()
    finally:
        await store.close()


async def test_a_draft_and_what_waited_in_line_come_back(tmp_path: Path) -> None:
    file = tmp_path / "conversations.db"
    engine = ScriptedEngine(["answer"], gated=True)
    app = make_app(tmp_path, engine, store=await Store.open(file))
    async with app.run_test(size=(120, 36)) as pilot:
        await until(lambda: app.screen_of_chat is not None and app.screen_of_chat.chat.can_send)
        await pilot.press(*"one", "enter", *"two", "enter", *"three")
        await until(lambda: app.screen_of_chat is not None and app.screen_of_chat.chat.waiting == [UserMessage("two")])
    await app.close()

    app = make_app(tmp_path, ScriptedEngine(), store=await Store.open(file))
    async with app.run_test(size=(120, 36)):
        await until(lambda: app.screen_of_chat is not None and app.screen_of_chat.composer.text == "two\nthree")
        assert app.screen_of_chat is not None
        app.screen_of_chat.composer.take_draft()
    await app.close()
    assert await unsent(file) == ""


async def test_a_recalled_prompt_is_not_taken_for_the_draft_beneath_it(tmp_path: Path) -> None:
    file = tmp_path / "conversations.db"
    app = make_app(tmp_path, ScriptedEngine(["answer"]), store=await Store.open(file))
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        await pilot.press(*"sent", "enter")
        await answered(chat)
        await pilot.press(*"half", "up")
        assert chat.composer.text == "sent"
    await app.close()
    assert await unsent(file) == "half"


def pty_chat(folder: Path) -> Terminal:
    return Terminal([sys.executable, "-m", "tests.fakes.pty_chat", str(folder)])


def kept(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "conversations.db")) as connection:
        return [content for (content,) in connection.execute("SELECT content FROM draft")]


def test_kill_9_loses_no_draft_and_a_running_chat_keeps_its_own(tmp_path: Path) -> None:
    with pty_chat(tmp_path) as first:
        first.wait_for("● ready")
        first.type("half a thought")
        first.wait_for("half a thought")
        end = time.monotonic() + 20
        while kept(tmp_path) != ["half a thought"]:
            assert time.monotonic() < end, "the draft was not kept while it was written"
            time.sleep(0.01)
        with pty_chat(tmp_path) as second:
            second.wait_for("● ready")
            assert "half a thought" not in second.text
            second.type("another")
            second.wait_for("another")
            first.process.kill()
            first.process.wait()
            with pty_chat(tmp_path) as third:
                third.wait_for("half a thought")
                third.wait_for("Your unsent text is in the composer")
                assert "another" not in third.text
                third.type("\x11")
                assert third.wait() == 0, third.last_words
    left = asyncio.run(unsent(tmp_path / "conversations.db")).split("\n")
    # Which of the two was kept last depends on how long the third one took to start.
    assert sorted(left) in (["half a thought"], ["another", "half a thought"])
