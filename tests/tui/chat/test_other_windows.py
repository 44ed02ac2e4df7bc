"""A chat beside another program on the same file: what that writes and deletes is seen, and nothing is lost."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from app.domain.conversation import Conversation, ReplyState, Role, UserMessage
from app.store.store import Store
from app.tui.chat import other_windows
from app.tui.chat import screen as chat_screen
from app.tui.common.options import ChatOptions
from tests.fakes.chat_app import answered, bar, contents, make_app, ready, reported, shown, until
from tests.fakes.scripted_engine import ScriptedEngine

CONTINUE = ChatOptions(continue_last=True)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks are made much more often, so that no test waits a second."""
    monkeypatch.setattr(other_windows, "LOOK_S", 0.02)
    monkeypatch.setattr(chat_screen, "LOOK_S", 0.02)


@pytest.fixture
async def other(tmp_path: Path) -> AsyncGenerator[Store]:
    """Another program, which has a conversation."""
    store = await Store.open(tmp_path / "chat.db")
    conversation, asked = await store.start_conversation("sea", UserMessage("about the sea"))
    await store.add_message(conversation.id, asked.id, Role.ASSISTANT, "it is wide")
    yield store
    await store.close()


async def the_one(store: Store) -> Conversation:
    (found,) = await store.conversations()
    return found


async def test_messages_of_another_window_appear_and_typing_goes_on(tmp_path: Path, other: Store) -> None:
    app = make_app(tmp_path, ScriptedEngine(["deep"]), store=Store(tmp_path / "chat.db"), options=CONTINUE)
    async with app.run_test(size=(100, 30)) as pilot:
        chat = await ready(app)
        await until(lambda: len(contents(chat)) == 2)
        await pilot.press(*"how d")
        found = await the_one(other)
        asked = await other.add_message(found.id, found.tip_id, Role.USER, "and salty?")
        await other.add_message(found.id, asked.id, Role.ASSISTANT, "very")
        await until(lambda: contents(chat)[2:] == ["and salty?", "very"] and "very" in shown(chat))
        assert chat.composer.text == "how d"
        await pilot.press(*"eep?", "enter")
        await answered(chat, 6)
        assert contents(chat)[4:] == ["how deep?", "deep"]
        assert [m.content for m in await other.branch(found.id)] == contents(chat)
        notices = reported(app)
        assert notices.count("2 messages came from another window.") + notices.count(
            "A message came from another window."
        ) in (1, 2)
    await app.close()


async def test_a_reply_in_another_window_grows_here_and_a_message_waits_for_it(tmp_path: Path, other: Store) -> None:
    app = make_app(tmp_path, ScriptedEngine(["deep"]), store=Store(tmp_path / "chat.db"), options=CONTINUE)
    async with app.run_test(size=(100, 30)) as pilot:
        chat = await ready(app)
        await until(lambda: len(contents(chat)) == 2)
        found = await the_one(other)
        asked = await other.add_message(found.id, found.tip_id, Role.USER, "and salty?")
        reply = await other.add_message(found.id, asked.id, Role.ASSISTANT, "", ReplyState.STREAMING)
        await other.journal_reply(reply.id, "very")
        await until(lambda: chat.transcript.last_reply() == "very")
        await pilot.press(*"why?", "enter")
        await until(lambda: "until the reply in another window has ended" in bar(chat, "queue"))
        await other.journal_reply(reply.id, "very salty")
        await until(lambda: chat.transcript.last_reply() == "very salty")
        await other.finish_reply(reply.id, "very salty indeed", ReplyState.DONE, None)
        await answered(chat, 6)
        assert contents(chat)[3:] == ["very salty indeed", "why?", "deep"]
    await app.close()


async def test_two_user_messages_at_once_can_both_be_reached(tmp_path: Path, other: Store) -> None:
    app = make_app(tmp_path, ScriptedEngine(["deep"]), store=Store(tmp_path / "chat.db"), options=CONTINUE)
    async with app.run_test(size=(100, 30)) as pilot:
        chat = await ready(app)
        await until(lambda: len(contents(chat)) == 2)
        found = await the_one(other)
        await pilot.press(*"mine", "enter")
        await answered(chat, 4)
        beside = await other.add_message(found.id, found.tip_id, Role.USER, "theirs")
        await other.add_message(found.id, beside.id, Role.ASSISTANT, "other answer")
        await until(lambda: "‹ 1/2 ›" in shown(chat))
        assert contents(chat)[2:] == ["mine", "deep"]
        await pilot.press("alt+right")
        await until(lambda: contents(chat)[2:] == ["theirs", "other answer"] and "‹ 2/2 ›" in shown(chat))
        await pilot.press("alt+left")
        await until(lambda: contents(chat)[2:] == ["mine", "deep"])
        await pilot.press("alt+left")
        await until(lambda: reported(app)[-1:] == ["This is the first of 2 versions."])
    await app.close()


async def test_past_the_versions_of_a_reply_come_those_of_its_question(tmp_path: Path, other: Store) -> None:
    found = await the_one(other)
    for question in ("mine", "theirs"):
        asked = await other.add_message(found.id, found.tip_id, Role.USER, question)
        for answer in ("first", "second"):
            await other.add_message(found.id, asked.id, Role.ASSISTANT, f"{question} {answer}")
    app = make_app(tmp_path, ScriptedEngine(), store=Store(tmp_path / "chat.db"), options=CONTINUE)
    async with app.run_test(size=(100, 40)) as pilot:
        chat = await ready(app)
        seen: list[str] = []
        await until(lambda: contents(chat)[-1:] == ["theirs second"] and shown(chat).count("‹") == 2)
        while True:
            seen.append(contents(chat)[-1])
            before = len(reported(app))
            await pilot.press("alt+left")
            await until(lambda: contents(chat)[-1] != seen[-1] or len(reported(app)) > before)  # noqa: B023
            if contents(chat)[-1] == seen[-1]:
                break
            await until(lambda: shown(chat).count("‹") == 2)
        assert seen == ["theirs second", "theirs first", "mine second", "mine first"]
    await app.close()


async def test_a_deleted_conversation_is_brought_back_by_a_message(tmp_path: Path, other: Store) -> None:
    engine = ScriptedEngine(["deep"])
    app = make_app(tmp_path, engine, store=Store(tmp_path / "chat.db"), options=CONTINUE)
    async with app.run_test(size=(100, 30)) as pilot:
        chat = await ready(app)
        await until(lambda: len(contents(chat)) == 2)
        found = await the_one(other)
        await other.delete(found.id)
        await until(lambda: "deleted" in bar(chat, "header"))
        await until(lambda: any("Your next message brings it back" in each for each in reported(app)))
        await until(lambda: engine.forgotten == [found.id])
        await pilot.press(*"still here?", "enter")
        await answered(chat, 4)
        await until(lambda: any("your message restored it" in each for each in reported(app)))
        assert "deleted" not in bar(chat, "header")
        assert [m.content for m in await other.branch(found.id)] == contents(chat)
        assert (await the_one(other)).id == found.id
    await app.close()


async def test_a_deletion_elsewhere_is_undone_by_the_command(tmp_path: Path, other: Store) -> None:
    app = make_app(tmp_path, ScriptedEngine(), store=Store(tmp_path / "chat.db"), options=CONTINUE)
    async with app.run_test(size=(100, 30)):
        chat = await ready(app)
        await until(lambda: len(contents(chat)) == 2)
        found = await the_one(other)
        await other.delete(found.id)
        await until(lambda: "deleted" in bar(chat, "header"))
        chat.action_command("undo_delete")
        await until(lambda: "deleted" not in bar(chat, "header"))
        assert (await the_one(other)).id == found.id
        assert len(contents(chat)) == 2
    await app.close()


async def test_what_another_session_deleted_can_be_brought_back(tmp_path: Path, other: Store) -> None:
    found = await the_one(other)
    await other.delete(found.id)
    app = make_app(tmp_path, ScriptedEngine(), store=Store(tmp_path / "chat.db"))
    async with app.run_test(size=(100, 30)):
        chat = await ready(app)
        chat.action_command("undo_delete")
        await until(lambda: contents(chat) == ["about the sea", "it is wide"])
        assert (await the_one(other)).id == found.id
    await app.close()


async def test_what_was_erased_elsewhere_is_kept_again_with_the_next_message(tmp_path: Path, other: Store) -> None:
    app = make_app(tmp_path, ScriptedEngine(["deep"]), store=Store(tmp_path / "chat.db"), options=CONTINUE)
    async with app.run_test(size=(100, 30)) as pilot:
        chat = await ready(app)
        await until(lambda: len(contents(chat)) == 2)
        await other.purge((await the_one(other)).id)
        await until(lambda: "erased" in bar(chat, "header"))
        await pilot.press(*"still here?", "enter")
        await answered(chat, 4)
        await until(lambda: any("what you see is saved again" in each for each in reported(app)))
        assert [m.content for m in await other.branch((await the_one(other)).id)] == contents(chat)
    await app.close()


async def test_reading_above_is_not_disturbed_by_messages_below(tmp_path: Path, other: Store) -> None:
    found = await the_one(other)
    parent = found.tip_id
    for n in range(30):
        parent = (await other.add_message(found.id, parent, Role.USER, f"message {n}")).id
    app = make_app(tmp_path, ScriptedEngine(), store=Store(tmp_path / "chat.db"), options=CONTINUE)
    async with app.run_test(size=(100, 24)) as pilot:
        chat = await ready(app)
        await until(lambda: len(contents(chat)) == 32)
        await until(lambda: chat.transcript.max_scroll_y > 0)  # a key before the first layout scrolls nothing
        await pilot.press("ctrl+home")
        await until(lambda: not chat.transcript.follow)
        at = chat.transcript.scroll_offset
        await other.add_message(found.id, parent, Role.USER, "new")
        await until(lambda: contents(chat)[-1] == "new")
        assert (chat.transcript.scroll_offset, chat.transcript.follow) == (at, False)
    await app.close()
