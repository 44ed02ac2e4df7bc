"""Several instances on one file: nobody waits in vain, nobody's live reply is ended by another."""

from __future__ import annotations

import asyncio
from pathlib import Path

import apsw
import pytest

from app.domain.conversation import ReplyState, Role, UserMessage
from app.store import database
from app.store.store import Store
from tests.fakes.stored import children


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.db"


async def begin_reply(store: Store) -> tuple[int, int]:
    conversation, asked = await store.start_conversation("t", UserMessage("q"))
    reply = await store.add_message(conversation.id, asked.id, Role.ASSISTANT, "", ReplyState.STREAMING)
    await store.journal_reply(reply.id, "half a")
    return conversation.id, reply.id


async def test_a_reply_that_another_instance_streams_is_left_alone(path: Path):
    first = await Store.open(path)
    conversation_id, reply_id = await begin_reply(first)
    second = await Store.open(path)
    assert (await second.branch(conversation_id))[-1].state is ReplyState.STREAMING
    done = await first.finish_reply(reply_id, "half a loaf", ReplyState.DONE, None)
    assert (await second.branch(conversation_id))[-1] == done
    await second.close()
    await first.close()


async def test_a_reply_left_streaming_by_a_clean_end_is_interrupted(path: Path):
    store = await Store.open(path)
    conversation_id, _ = await begin_reply(store)
    await store.close()
    store = await Store.open(path)
    reply = (await store.branch(conversation_id))[-1]
    assert (reply.content, reply.state) == ("half a", ReplyState.INTERRUPTED)
    assert [c.id for c in await store.conversations("half")] == [conversation_id]
    await store.close()


async def test_five_open_a_new_file_at_once_and_all_write(path: Path):
    async def instance(name: str) -> None:
        store = await Store.open(path)
        conversation, message = await store.start_conversation(name, UserMessage("0"))
        for i in range(1, 20):
            message = await store.add_message(conversation.id, message.id, Role.USER, str(i))
        await store.close()

    await asyncio.gather(*(instance(f"n{i}") for i in range(5)))
    store = await Store.open(path)
    found = await store.conversations()
    branches = [[m.content for m in await store.branch(c.id)] for c in found]
    await store.close()
    assert sorted(c.title for c in found) == ["n0", "n1", "n2", "n3", "n4"]
    assert branches == [[str(i) for i in range(20)]] * 5


async def test_two_write_to_one_conversation_and_nothing_is_lost(path: Path):
    first, second = await Store.open(path), await Store.open(path)
    conversation, asked = await first.start_conversation("t", UserMessage("q"))
    mine = await first.add_message(conversation.id, asked.id, Role.ASSISTANT, "mine")
    theirs = await second.add_message(conversation.id, asked.id, Role.ASSISTANT, "theirs")
    assert await children(first, conversation.id, asked.id) == [mine, theirs]
    assert await first.branch(conversation.id) == [asked, theirs]
    await first.close()
    assert await second.branch(conversation.id) == [asked, theirs]
    await second.close()


async def test_the_log_is_turned_on_when_others_have_done_with_it(path: Path, monkeypatch: pytest.MonkeyPatch):
    refusals = [apsw.BusyError("database is locked")] * 3
    execute = database.execute

    def busy_at_first(connection: apsw.Connection, sql: str, *bindings: object):
        if "journal_mode" in sql and refusals:
            raise refusals.pop()
        return execute(connection, sql, *bindings)

    monkeypatch.setattr(database, "execute", busy_at_first)
    store = await Store.open(path)
    await store.close()
    assert refusals == []
