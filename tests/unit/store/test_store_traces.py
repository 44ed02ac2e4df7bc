"""Traces beside their replies: stored, counted, trimmed, deleted with the conversation."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from app.domain.conversation import Message, ReplyState, Role, UserMessage
from app.domain.errors import StoreError
from app.domain.sampling import SamplingParams
from app.domain.trace import ReplyTrace
from app.store import database, schema
from app.store.store import Store
from tests.fakes.engine_events import make_token


def trace(n_tokens: int, seed: int = 7) -> ReplyTrace:
    tokens = tuple(make_token(f" t{index}", index) for index in range(n_tokens))
    return ReplyTrace(tokens=tokens, n_cached=3, sampling=SamplingParams(top_k=7), seed=seed)


async def replies(store: Store, n: int = 1) -> list[Message]:
    conversation, asked = await store.start_conversation("t", UserMessage("q"))
    return [
        await store.add_message(conversation.id, asked.id, Role.ASSISTANT, "a", ReplyState.STREAMING) for _ in range(n)
    ]


async def test_what_is_saved_is_reported(store: Store):
    first, second = await replies(store, 2)
    assert await store.trace(first.id) is None
    await store.save_trace(first.id, trace(3))
    await store.save_trace(second.id, trace(1, seed=9))
    got = await store.trace(first.id)
    assert got is not None
    assert [(each.id, each.text, each.p, each.rank) for each in got.tokens] == [
        (100, " t0", 0.5, 1),
        (101, " t1", 0.5, 1),
        (102, " t2", 0.5, 1),
    ]
    assert (got.n_cached, got.sampling, got.seed) == (3, SamplingParams(top_k=7), 7)
    await store.save_trace(first.id, trace(2))
    got = await store.trace(first.id)
    assert got is not None
    assert len(got.tokens) == 2


async def test_a_reply_that_is_gone_takes_no_trace(store: Store):
    with pytest.raises(StoreError, match="trace of reply 99"):
        await store.save_trace(99, trace(1))


async def test_sizes_are_those_of_a_conversation(store: Store):
    (mine,) = await replies(store)
    (other,) = await replies(store)
    assert await store.trace_bytes(mine.conversation_id) == 0
    await store.save_trace(mine.id, trace(50))
    await store.save_trace(other.id, trace(5))
    sizes = [await store.trace_bytes(each.conversation_id) for each in (mine, other)]
    rows = store._thread.database.connection.execute("SELECT length(data), n_bytes, n_tokens FROM trace").fetchall()
    assert rows == [(sizes[0], sizes[0], 50), (sizes[1], sizes[1], 5)]


async def test_the_oldest_go_first_and_no_more_than_must(store: Store):
    made = await replies(store, 4)
    for each in made:
        await store.save_trace(each.id, trace(20))
    total = await store.trace_bytes(made[0].conversation_id)
    await store.trim_traces(total)
    assert [bool(await store.trace(each.id)) for each in made] == [True] * 4
    await store.trim_traces(total - 1)
    assert [bool(await store.trace(each.id)) for each in made] == [False, True, True, True]
    await store.trim_traces(total // 4)
    assert [bool(await store.trace(each.id)) for each in made] == [False, False, False, True]
    await store.trim_traces(0)
    assert await store.trace_bytes(made[0].conversation_id) == 0


async def test_a_trace_goes_with_its_conversation(store: Store):
    (reply,) = await replies(store)
    await store.save_trace(reply.id, trace(2))
    await store.purge(reply.conversation_id)
    assert store._thread.database.connection.execute("SELECT count(*) FROM trace").get == 0


@pytest.mark.parametrize("change", ["data = x'00'", "format = format + 1"])
async def test_one_that_cannot_be_read_is_none(store: Store, change: str):
    (reply,) = await replies(store)
    await store.save_trace(reply.id, trace(2))
    store._thread.database.connection.execute(f"UPDATE trace SET {change}")
    assert await store.trace(reply.id) is None


async def test_an_older_database_gets_a_place_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "chat.db"
    with monkeypatch.context() as patch:
        patch.setattr(database, "MIGRATIONS", schema.MIGRATIONS[:2])
        await (await Store.open(path)).close()
    store = await Store.open(path)
    (reply,) = await replies(store)
    assert await store.trace(reply.id) is None
    await store.save_trace(reply.id, trace(2))
    await store.close()
    tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'trace'"
    assert [apsw.Connection(str(p)).execute(tables).get for p in (path, tmp_path / "chat.db.backup-v2")] == [1, 0]


async def test_all_messages_are_reported_whatever_their_branch(store: Store):
    first, second = await replies(store, 2)
    assert [each.id for each in await store.messages(first.conversation_id)] == [first.parent_id, first.id, second.id]
