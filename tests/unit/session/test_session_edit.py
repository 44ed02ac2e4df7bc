"""Siblings of the user's own messages."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from app.domain.conversation import Message, ReplyState, UserMessage
from app.domain.generation import FinishReason
from app.session.events import MessageReturned
from app.session.session import Session
from app.store.store import Store
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Reply
from tests.unit.session.session_helpers import all_of, refuse, session_with, siblings, stored_branch


async def two_turns(store: Store | None, *later: Reply | str) -> tuple[Session, ScriptedEngine, list[Message]]:
    session, engine = session_with(store, "one", "two", *later)
    await all_of(session.send(UserMessage("first")))
    await all_of(session.send(UserMessage("second")))
    return session, engine, list(session.branch)


def texts(messages: list[Message]) -> list[str]:
    return [message.content for message in messages]


async def test_an_edited_message_is_a_sibling_and_what_followed_the_old_one_stays(store: Store):
    session, engine, before = await two_turns(store, "three")
    await all_of(session.send(UserMessage("another"), instead_of=before[2]))
    assert texts(session.branch) == ["first", "one", "another", "three"]
    assert [message.content for message in engine.requests[2].messages] == ["Be brief.", "first", "one", "another"]
    assert await stored_branch(store, session) == session.branch
    assert await siblings(session, session.branch[2]) == [before[2], session.branch[2]]
    await session.choose(before[2])
    assert session.branch == before


async def test_the_first_message_of_a_conversation_can_be_edited(store: Store):
    session, _, before = await two_turns(store, "three")
    conversation = session.conversation
    await all_of(session.send(UserMessage("anew"), instead_of=before[0]))
    assert texts(session.branch) == ["anew", "three"] == texts(await stored_branch(store, session))
    assert session.conversation
    assert conversation
    assert session.conversation.id == conversation.id
    assert await siblings(session, session.branch[0]) == [before[0], session.branch[0]]


async def test_without_a_store_the_versions_are_kept_in_memory():
    session, _, before = await two_turns(None, "three")
    await all_of(session.send(UserMessage("anew"), instead_of=before[0]))
    assert await siblings(session, session.branch[0]) == [before[0], session.branch[0]]
    await session.choose(before[0])
    assert session.branch == before


async def test_a_message_of_another_branch_is_shown_first(store: Store):
    session, _, before = await two_turns(store, "three", "four")
    await all_of(session.send(UserMessage("anew"), instead_of=before[0]))
    await all_of(session.send(UserMessage("another"), instead_of=before[2]))
    assert texts(session.branch) == ["first", "one", "another", "four"]


@pytest.mark.parametrize("at", [0, 2])
@pytest.mark.parametrize("reason", [FinishReason.CONTEXT, None])
async def test_an_edit_that_nothing_answers_shows_the_old_branch_again(store: Store, monkeypatch, at, reason):
    session, engine, before = await two_turns(store)
    refuse(engine, monkeypatch, reason)
    events = await all_of(session.send(UserMessage("too long"), instead_of=before[at]))
    assert [event.message.content for event in events if isinstance(event, MessageReturned)] == ["too long"]
    assert session.branch == before
    assert session.conversation
    assert session.conversation.id == before[0].conversation_id
    assert await stored_branch(store, session) == before
    assert await siblings(session, before[at]) == [before[at]]


async def test_an_edit_that_was_stopped_keeps_its_place(store: Store):
    session, _, before = await two_turns(store, "three")
    async with aclosing(session.send(UserMessage("anew"), instead_of=before[0])) as events:
        await anext(events)
        session.stop()
        await all_of(events)
    assert [(message.content, message.state) for message in session.branch] == [
        ("anew", ReplyState.DONE),
        ("", ReplyState.STOPPED),
    ]
