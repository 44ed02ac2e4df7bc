"""What is put in comes out again: conversations, the tree of messages, generations."""

from __future__ import annotations

import pytest
from msgspec import json

from app.domain.conversation import GenerationRecord, ReplyState, Role, UserMessage
from app.domain.errors import StoreError
from app.domain.generation import FinishReason, Stop, Thinking, Timings, Usage
from app.domain.sampling import SamplingParams
from app.store.store import Store
from tests.fakes.stored import children

RECORD = GenerationRecord(
    model="smollm2",
    preset="balanced",
    seed=4_294_967_294,
    finish_reason=FinishReason.STOP,
    stop=Stop("eog", "<|im_end|>", 2),
    usage=Usage(30, 12, 7),
    timings=Timings(1.5, 0.25, 3.5, 4.5, 60.0, 100.0, 50.0, 9.5, 11.25),
    n_dropped_messages=2,
    n_dropped_tokens=300,
    n_shifted_tokens=40,
    incomplete=True,
)


async def test_a_turn_comes_back_exactly(store: Store):
    conversation, asked = await store.start_conversation("Rain", UserMessage("Write a haiku\0 é 🌧 \u202e"))
    reply = await store.add_message(conversation.id, asked.id, Role.ASSISTANT, "", ReplyState.STREAMING)
    await store.journal_reply(reply.id, "Soft")
    assert [m.content for m in await store.branch(conversation.id)] == ["Write a haiku\0 é 🌧 \u202e", "Soft"]

    done = await store.finish_reply(reply.id, "Soft rain", ReplyState.DONE, RECORD, SamplingParams(top_k=7))

    assert (done.id, done.parent_id, done.content, done.state) == (reply.id, asked.id, "Soft rain", ReplyState.DONE)
    assert done.generation == RECORD
    assert await store.branch(conversation.id) == [asked, done]
    stored = await store.conversation(conversation.id)
    assert (stored.title, stored.tip_id, stored.n_messages) == ("Rain", reply.id, 2)


async def test_the_thinking_of_a_reply_is_stored_with_its_text(store: Store):
    conversation, asked = await store.start_conversation("t", UserMessage("q"))
    reply = await store.add_message(conversation.id, asked.id, Role.ASSISTANT, "", ReplyState.STREAMING)
    await store.journal_reply(reply.id, "<think>so", Thinking(7, 9, 9, 2, 3.5))
    assert (await store.message(reply.id)).thinking == Thinking(7, 9, 9, 2, 3.5)
    whole = Thinking(7, 9, 17, 3, 5.25)
    done = await store.finish_reply(reply.id, "<think>so</think>yes", ReplyState.DONE, RECORD, thinking=whole)
    assert (done.thinking, done.answer) == (whole, "yes")
    assert (asked.thinking, asked.answer) == (None, "q")


async def test_sampling_params_are_stored_beside_the_generation(store: Store):
    conversation, asked = await store.start_conversation("t", UserMessage("q"))
    reply = await store.add_message(conversation.id, asked.id, Role.ASSISTANT, "", ReplyState.STREAMING)
    await store.finish_reply(reply.id, "a", ReplyState.DONE, RECORD, SamplingParams(temperature=0.5, stop=("x",)))
    rows = store._thread.database.connection.execute("SELECT params FROM generation").fetchall()
    assert [json.decode(params) for (params,) in rows] == [{"temperature": 0.5, "stop": ["x"]}]


async def test_a_finished_reply_never_changes(store: Store):
    conversation, asked = await store.start_conversation("t", UserMessage("q"))
    reply = await store.add_message(conversation.id, asked.id, Role.ASSISTANT, "", ReplyState.STREAMING)
    done = await store.finish_reply(reply.id, "kept", ReplyState.STOPPED, None)
    with pytest.raises(StoreError):
        await store.journal_reply(reply.id, "other")
    with pytest.raises(StoreError):
        await store.finish_reply(reply.id, "other", ReplyState.DONE, None)
    assert await store.branch(conversation.id) == [asked, done]


async def test_siblings_and_the_tip(store: Store):
    conversation, asked = await store.start_conversation("t", UserMessage("q"))
    first = await store.add_message(conversation.id, asked.id, Role.ASSISTANT, "one")
    second = await store.add_message(conversation.id, asked.id, Role.ASSISTANT, "two")
    assert await children(store, conversation.id, asked.id) == [first, second]
    assert await children(store, conversation.id, None) == [asked]
    assert await store.branch(conversation.id) == [asked, second]
    await store.set_tip(conversation.id, first.id)
    assert await store.branch(conversation.id) == [asked, first]


async def test_a_message_or_a_tip_of_another_conversation_is_refused(store: Store):
    mine, _ = await store.start_conversation("mine", UserMessage("q"))
    _, other = await store.start_conversation("other", UserMessage("q"))
    with pytest.raises(StoreError):
        await store.add_message(mine.id, other.id, Role.ASSISTANT, "stray")
    with pytest.raises(StoreError):
        await store.set_tip(mine.id, other.id)
    assert await store.conversation(mine.id) == mine


async def test_newest_first_is_reported_by_what_was_written_last_not_by_the_clock(store: Store, monkeypatch):
    clock = iter(range(9_000, 0, -10))
    monkeypatch.setattr("app.store.conversations.now_ms", lambda: next(clock))
    monkeypatch.setattr("app.store.messages.now_ms", lambda: next(clock))
    old, asked = await store.start_conversation("old", UserMessage("q"))
    new, _ = await store.start_conversation("new", UserMessage("q"))
    assert [c.title for c in await store.conversations()] == ["new", "old"]
    await store.add_message(old.id, asked.id, Role.ASSISTANT, "a")
    assert [c.title for c in await store.conversations()] == ["old", "new"]
    assert [c.title for c in await store.conversations(limit=1)] == ["old"]
    last = await store.last_conversation()
    assert last
    assert last.id == old.id
    assert (await store.conversation(new.id)).n_messages == 1


async def test_delete_hides_and_restore_brings_back(store: Store):
    conversation, _ = await store.start_conversation("t", UserMessage("rain"))
    await store.delete(conversation.id)
    assert await store.conversations() == []
    assert await store.conversations("rain") == []
    assert await store.last_conversation() is None
    with pytest.raises(StoreError):
        await store.conversation(conversation.id)
    await store.restore(conversation.id)
    assert await store.conversations("rain") == [conversation]


async def test_rename_makes_a_title_safe_and_never_empty(store: Store):
    conversation = await store.create_conversation("a")
    await store.rename(conversation.id, "bell\a\nnext \x1b]52;c;AA\x1b\\")
    assert (await store.conversation(conversation.id)).title == "bell␇ next ␛]52;c;AA␛\\"
    await store.rename(conversation.id, " \n ")
    assert (await store.conversation(conversation.id)).title == "New conversation"
    with pytest.raises(StoreError):
        await store.rename(conversation.id + 1, "nobody")


async def test_text_that_is_no_unicode_is_an_error_and_changes_nothing(store: Store):
    with pytest.raises(StoreError):
        await store.start_conversation("t", UserMessage("\ud800"))
    assert await store.conversations() == []


async def test_a_closed_store_says_so():
    other = await Store.in_memory()
    await other.close()
    await other.close()
    with pytest.raises(StoreError, match="closed"):
        await other.conversations()
