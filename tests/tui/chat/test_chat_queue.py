"""A message that waits is sent or given back, never lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.conversation import UserMessage
from app.store.store import Store
from app.tui.app import TokscopeApp
from app.tui.chat.screen import ChatScreen
from tests.fakes.chat_app import make_app, ready, reported, until
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import reply


async def writing(app: TokscopeApp) -> ChatScreen:
    """The chat while a reply is written and two messages wait."""
    chat = await ready(app)
    for text in ("first", "second", "third"):
        chat.chat.submit(UserMessage(text))
    await until(lambda: chat.transcript.last_reply() == "one")
    assert chat.chat.waiting == [UserMessage("second"), UserMessage("third")]
    return chat


def gated() -> ScriptedEngine:
    engine = ScriptedEngine([reply("one two three")], gated=True)
    engine.permit(2)
    return engine


async def test_another_model_answers_what_waits(tmp_path: Path) -> None:
    engine = gated()
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(120, 36)):
        chat = await writing(app)
        chat.loads.load("tiny")
        engine.run_free()
        await until(lambda: len(chat.chat.session.branch) == 6 and not chat.chat.running)
        asked = [message.content for message in chat.chat.session.branch[::2]]
        assert asked == ["first", "second", "third"]
        assert len(engine.loads) == 2


async def test_a_new_conversation_gives_back_what_waits(tmp_path: Path) -> None:
    app = make_app(tmp_path, gated())
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await writing(app)
        await pilot.press("ctrl+n")
        await until(lambda: not chat.chat.session.branch)
        assert chat.composer.text == "second\nthird"
        assert reported(app) == [
            "2 queued messages are in the composer.",
            "The reply in “first” was stopped. Its text is in the history.",
        ]
        assert chat.chat.waiting == []


@pytest.mark.parametrize("keys", [("ctrl+q",), ("ctrl+c", "ctrl+c")])
async def test_quitting_ends_at_once_and_keeps_what_waits(tmp_path: Path, keys: tuple[str, ...]) -> None:
    file = tmp_path / "conversations.db"
    app = make_app(tmp_path, ScriptedEngine(loaded=False, load_gated=True), store=await Store.open(file))
    async with app.run_test(size=(120, 36)) as pilot:
        await until(lambda: app.screen_of_chat is not None)
        chat = app.screen_of_chat
        assert chat is not None
        await pilot.press(*"hi", "enter")
        await until(lambda: chat.chat.waiting == [UserMessage("hi")])
        await pilot.press(*keys)
    assert app.return_code == 0
    await app.close()
    store = await Store.open(file)
    assert await store.take_drafts() == "hi"
    await store.close()


async def test_opening_gives_back_what_waits(tmp_path: Path) -> None:
    store = await Store.in_memory()
    other, _ = await store.start_conversation("other", UserMessage("about other"))
    app = make_app(tmp_path, gated(), store=store)
    async with app.run_test(size=(120, 36)):
        chat = await writing(app)
        await chat.conversations.open(other.id)
        assert [message.content for message in chat.chat.session.branch] == ["about other"]
        assert chat.composer.text == "second\nthird"


async def test_deleting_gives_back_what_waits(tmp_path: Path) -> None:
    app = make_app(tmp_path, gated())
    async with app.run_test(size=(120, 36)):
        chat = await writing(app)
        conversation = chat.chat.session.conversation
        assert conversation is not None
        await chat.conversations.remove(conversation)
        assert chat.chat.session.conversation is None
        assert chat.composer.text == "second\nthird"
        assert chat.has_class("-empty")
        await chat.conversations.bring_back()
        assert [message.content for message in chat.chat.session.branch] == ["first", "one"]
