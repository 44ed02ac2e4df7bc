"""Search: words, beginnings, titles and texts, any script, and never FTS5 syntax."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.conversation import ReplyState, Role, UserMessage
from app.store.conversations import Search, find, parse
from app.store.database import Database
from app.store.store import Store


@pytest.fixture
async def store():
    store = await Store.in_memory()
    await store.start_conversation("Weather", UserMessage("Write a haiku about the Überschwemmung"))
    await store.start_conversation("Code: C++", UserMessage('def f(): return "NEAR(a b)" -- 100% snake_case'))
    await store.start_conversation("日記", UserMessage("今日は雨が降った。I don't mind"))
    yield store
    await store.close()


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("", ["日記", "Code: C++", "Weather"]),
        ("   ", ["日記", "Code: C++", "Weather"]),
        ("weath", ["Weather"]),
        ("HAIKU", ["Weather"]),
        ("uberschw", ["Weather"]),
        ("rite", []),
        ("haiku write", ["Weather"]),
        ("haiku weather", []),
        ("c++", ["Code: C++"]),
        ("雨", ["日記"]),
        ("雨が 今日", ["日記"]),
        ("don't", ["日記"]),
        ("100%", ["Code: C++"]),
        ("0%", ["Code: C++"]),
        ("%", ["Code: C++"]),
        ("snake_case", ["Code: C++"]),
        ("snakeXcase", []),
        ('"NEAR(a', ["Code: C++"]),
        ("haiku OR def", []),
        ("haiku NOT def", []),
        ("title:weather", []),
        ("col : haiku*", []),
        ("\0haiku", ["Weather"]),
        ("hai\ud800", []),
    ],
)
async def test_what_is_found(store: Store, query: str, titles: list[str]):
    assert [c.title for c in await store.conversations(query)] == titles


def test_words_are_quoted_for_the_index_or_escaped_for_like():
    assert parse("Rain in 日本 a_b\\") == Search('"Rain"* AND "in"*', ("%日本%", "%a\\_b\\\\%"))


async def test_a_reply_is_found_once_it_has_ended(store: Store):
    conversation, asked = await store.start_conversation("t", UserMessage("q"))
    reply = await store.add_message(conversation.id, asked.id, Role.ASSISTANT, "", ReplyState.STREAMING)
    await store.journal_reply(reply.id, "petrichor")
    assert await store.conversations("petrichor") == []
    await store.finish_reply(reply.id, "petrichor rises", ReplyState.STOPPED, None)
    assert [c.id for c in await store.conversations("petrichor rises")] == [conversation.id]


async def test_a_new_title_replaces_the_old_one_in_the_index(store: Store):
    (found,) = await store.conversations("weather")
    await store.rename(found.id, "Climate")
    assert await store.conversations("weather") == []
    assert [c.title for c in await store.conversations("clim")] == ["Climate"]


@pytest.fixture(scope="module")
def database():
    database = Database(None)
    yield database
    database.close()


@given(text=st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_valid_search(database: Database, text: str):
    with database.read() as connection:
        assert find(connection, text, 5) == []
