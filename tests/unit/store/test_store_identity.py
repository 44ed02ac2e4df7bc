"""What a conversation keeps of itself: settings by value, and where it was begun; and messages that are withdrawn."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from app.domain.conversation import ChatSettings, ConversationKind, Role, UserMessage
from app.domain.sampling import Preset, SamplingParams
from app.store import database, schema
from app.store.store import Store

PIRATE = ChatSettings(
    model="/models/a.gguf",
    preset=Preset(
        name="mine", system="Be brief.", sampling=SamplingParams(temperature=0.3, stop=("a",)), context="shift"
    ),
    system="You are a pirate.",
)
ASK, CHAT = ConversationKind.ASK, ConversationKind.CHAT


async def test_settings_are_kept_by_value(store: Store):
    begun, _ = await store.start_conversation("t", UserMessage("q"), CHAT, PIRATE)
    assert begun.settings == PIRATE
    assert (await store.conversation(begun.id)).settings == PIRATE
    other = ChatSettings(model="b", preset=Preset(name="other"), system="")
    await store.keep_settings(begun.id, other)
    assert [each.settings for each in await store.conversations()] == [other]


def test_an_own_system_prompt_stands_in_place_of_the_presets():
    preset = PIRATE.preset
    effective = [ChatSettings(preset=preset, system=own).effective.system for own in (None, "", "Hi")]
    assert effective == ["Be brief.", None, "Hi"]


async def test_what_a_newer_one_kept_is_not_known(store: Store, tmp_path: Path):
    path = tmp_path / "chat.db"
    own = await Store.open(path)
    begun, _ = await own.start_conversation("t", UserMessage("q"), CHAT, PIRATE)
    connection = apsw.Connection(str(path))
    connection.execute('UPDATE conversation SET settings = \'{"preset": {"name": "x", "sampling": {"new": 1}}}\'')
    assert (await own.conversation(begun.id)).settings is None
    connection.close()
    await own.close()


async def test_conversations_from_before_are_chats_that_kept_nothing(tmp_path: Path, monkeypatch):
    path = tmp_path / "chat.db"
    with monkeypatch.context() as patch:
        patch.setattr(database, "MIGRATIONS", schema.MIGRATIONS[:3])
        await (await Store.open(path)).close()
    connection = apsw.Connection(str(path))
    connection.execute("INSERT INTO conversation (title, created_ms, updated_ms) VALUES ('old', 1, 1)")
    connection.close()
    store = await Store.open(path)
    (old,) = await store.conversations()
    assert (old.title, old.kind, old.settings) == ("old", CHAT, None)
    assert await store.last_conversation() == old
    await store.close()


async def test_a_question_is_no_chat_until_the_chat_goes_on_with_it(store: Store):
    chat, _ = await store.start_conversation("chat", UserMessage("a"))
    asked, _ = await store.start_conversation("asked", UserMessage("b"), ASK)
    assert [(await store.last_conversation(kind)).title for kind in (CHAT, ASK)] == ["chat", "asked"]
    titles = {kind: [each.title for each in await store.conversations(kind=kind)] for kind in (CHAT, ASK, None)}
    assert titles == {CHAT: ["chat"], ASK: ["asked"], None: ["asked", "chat"]}
    await store.continue_as(asked.id, CHAT)
    await store.continue_as(chat.id, CHAT)
    assert await store.conversations(kind=ASK) == []
    # `tok ask -c` continues what `tok ask` wrote to last, though it is a chat now.
    assert [(await store.last_conversation(kind)).title for kind in (CHAT, ASK)] == ["asked", "asked"]


async def test_what_tok_ask_wrote_to_last_is_not_what_was_begun_last(store: Store):
    first, question = await store.start_conversation("first", UserMessage("a"), ASK)
    await store.start_conversation("second", UserMessage("b"), ASK)
    await store.add_message(first.id, question.id, Role.ASSISTANT, "r")
    await store.continue_as(first.id, ASK)
    assert (await store.last_conversation(ASK)).id == first.id


async def test_without_a_question_it_is_the_last_chat_and_without_a_chat_none(store: Store):
    assert [await store.last_conversation(kind) for kind in (CHAT, ASK)] == [None, None]
    chat, _ = await store.start_conversation("chat", UserMessage("a"))
    assert (await store.last_conversation(ASK)).id == chat.id
    await store.delete(chat.id)
    await store.start_conversation("asked", UserMessage("b"), ASK)
    assert await store.last_conversation(CHAT) is None


async def test_a_search_is_of_its_kind(store: Store):
    await store.start_conversation("one", UserMessage("needle"), ASK)
    await store.start_conversation("two", UserMessage("needle"))
    assert [each.title for each in await store.conversations("needle", kind=ASK)] == ["one"]


async def test_a_message_that_is_withdrawn_leaves_its_conversation_as_it_was(store: Store):
    begun, question = await store.start_conversation("t", UserMessage("q"))
    reply = await store.add_message(begun.id, question.id, Role.ASSISTANT, "r")
    before = await store.branch(begun.id)
    too_long = await store.add_message(begun.id, reply.id, Role.USER, "x")
    assert await store.withdraw(too_long.id)
    assert await store.branch(begun.id) == await store.messages(begun.id) == before
    assert not await store.withdraw(too_long.id)


async def test_a_message_that_is_answered_is_not_withdrawn(store: Store):
    begun, question = await store.start_conversation("t", UserMessage("q"))
    await store.add_message(begun.id, question.id, Role.ASSISTANT, "r")
    assert not await store.withdraw(question.id)
    assert [each.content for each in await store.branch(begun.id)] == ["q", "r"]


async def test_a_conversation_goes_with_its_only_message(store: Store):
    begun, question = await store.start_conversation("t", UserMessage("q"))
    assert await store.withdraw(question.id)
    assert await store.conversations() == []
    assert await store.conversations("q") == []
    with pytest.raises(Exception, match=f"no conversation {begun.id}"):
        await store.conversation(begun.id)


async def test_a_first_message_withdrawn_beside_another_shows_that_one(store: Store):
    begun, question = await store.start_conversation("t", UserMessage("q"))
    await store.add_message(begun.id, question.id, Role.ASSISTANT, "r")
    other = await store.add_message(begun.id, None, Role.USER, "x")
    assert await store.withdraw(other.id)
    assert [each.content for each in await store.branch(begun.id)] == ["q", "r"]


async def test_a_tip_that_was_moved_meanwhile_stays(store: Store):
    begun, question = await store.start_conversation("t", UserMessage("q"))
    reply = await store.add_message(begun.id, question.id, Role.ASSISTANT, "r")
    too_long = await store.add_message(begun.id, reply.id, Role.USER, "x")
    await store.add_message(begun.id, question.id, Role.ASSISTANT, "from another window")
    assert await store.withdraw(too_long.id)
    assert [each.content for each in await store.branch(begun.id)] == ["q", "from another window"]
