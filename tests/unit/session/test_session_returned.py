"""A message that nothing answers comes back: the conversation goes on as if it was never sent."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from app.domain.conversation import Message, Role, UserMessage
from app.domain.errors import GenerationError
from app.domain.generation import FinishReason
from app.session.active_turns import variants
from app.session.events import MessageReturned, TurnEvent
from app.session.session import Session
from app.store.store import Store
from tests.fakes.scripted_engine import ScriptedEngine
from tests.unit.session.session_helpers import (
    PRESET,
    all_of,
    kinds,
    refuse,
    session_with,
    stored_branch,
    with_reply,
)


def returned(events: list[TurnEvent]) -> list[str]:
    return [event.message.content for event in events if isinstance(event, MessageReturned)]


@pytest.mark.parametrize("reason", [FinishReason.CONTEXT, FinishReason.ERROR, None])
async def test_the_first_message_takes_its_conversation_along(store: Store, monkeypatch, reason):
    session, engine = session_with(store)
    refuse(engine, monkeypatch, reason)
    events = await all_of(session.send(UserMessage("q")))
    assert kinds(events)[0] == "MessageStored"
    assert returned(events) == ["q"]
    assert (session.branch, session.conversation) == ([], None)
    assert await store.conversations() == []


@pytest.mark.parametrize("reason", [FinishReason.CONTEXT, FinishReason.ERROR, None])
async def test_a_later_one_leaves_the_conversation_as_it_was(store: Store, monkeypatch, reason):
    session, engine, _ = await with_reply(store, "fine")
    before = await stored_branch(store, session)
    with monkeypatch.context() as patch:
        refuse(engine, patch, reason)
        assert returned(await all_of(session.send(UserMessage("too long")))) == ["too long"]
    assert session.branch == await stored_branch(store, session) == before
    await all_of(session.send(UserMessage("short")))
    assert [each.content for each in engine.requests[-1].messages] == ["Be brief.", "q", "one two three", "short"]
    assert session.branch[-1].content == "fine"


async def test_without_a_store_too(monkeypatch):
    session, engine, _ = await with_reply(None, "fine")
    refuse(engine, monkeypatch)
    assert returned(await all_of(session.send(UserMessage("too long")))) == ["too long"]
    assert [each.content for each in session.branch] == ["q", "one two three"]


async def test_it_is_forgotten_only_after_it_was_handed_over(store: Store, monkeypatch):
    session, engine = session_with(store)
    refuse(engine, monkeypatch)
    async with aclosing(session.send(UserMessage("q"))) as events:
        async for event in events:
            if isinstance(event, MessageReturned):
                assert [each.title for each in await store.conversations()] == ["q"]
    assert await store.conversations() == []


async def test_several_replies_that_never_begin_return_it_once(store: Store, monkeypatch):
    session, engine = session_with(store)
    refuse(engine, monkeypatch)
    events = await all_of(session.parallel(UserMessage("q"), variants([PRESET], 3)))
    assert [(index, type(event).__name__) for index, event in events][-1] == (0, "MessageReturned")
    assert returned([event for _, event in events]) == ["q"]
    assert await store.conversations() == []


async def test_another_reply_that_is_refused_changes_nothing(store: Store, monkeypatch):
    session, engine, old = await with_reply(store)
    refuse(engine, monkeypatch)
    assert returned(await all_of(session.regenerate())) == []
    assert returned(await all_of(session.fork(old, 1))) == []
    assert [each.content for each in await stored_branch(store, session)] == ["q", "one two three"]


async def abandoned(store: Store, *contents: str) -> tuple[Session, ScriptedEngine]:
    """A session over a conversation whose last messages were never answered, as older versions left them."""
    conversation, message = await store.start_conversation("t", UserMessage(contents[0]))
    parent: Message = await store.add_message(conversation.id, message.id, Role.ASSISTANT, "r")
    for content in contents[1:]:
        parent = await store.add_message(conversation.id, parent.id, Role.USER, content)
    session, engine = session_with(store)
    await session.open(conversation.id)
    return session, engine


async def test_a_conversation_that_was_stuck_gives_back_all_that_is_too_long(store: Store, monkeypatch):
    session, engine = await abandoned(store, "q", "much too long")
    with monkeypatch.context() as patch:
        refuse(engine, patch)
        assert returned(await all_of(session.send(UserMessage("short")))) == ["short", "much too long"]
    await all_of(session.send(UserMessage("again")))
    assert [each.content for each in engine.requests[-1].messages] == ["Be brief.", "q", "r", "again"]


async def test_a_message_that_was_never_answered_comes_back_when_it_is_asked_again(store: Store, monkeypatch):
    session, engine = await abandoned(store, "q", "much too long")
    refuse(engine, monkeypatch)
    assert returned(await all_of(session.regenerate())) == ["much too long"]
    assert [each.content for each in await stored_branch(store, session)] == ["q", "r"]


async def test_one_that_another_window_answered_stays(store: Store, monkeypatch):
    session, engine = await abandoned(store, "q", "second")
    await store.add_message(session.branch[-1].conversation_id, session.branch[-1].id, Role.ASSISTANT, "theirs")
    refuse(engine, monkeypatch)
    assert returned(await all_of(session.regenerate())) == []


async def test_what_the_user_stopped_stays(store: Store):
    session, _ = session_with(store)
    events = session.send(UserMessage("q"))
    await anext(events)
    session.stop()
    assert returned(await all_of(events)) == []
    assert [each.content for each in await stored_branch(store, session)] == ["q", ""]


async def test_a_stream_that_raises_before_it_starts_returns_it_and_shows_the_error(store: Store, monkeypatch):
    session, engine = session_with(store)

    async def breaks_off(command):
        raise GenerationError("broken pipe")
        yield

    monkeypatch.setattr(engine, "generate", breaks_off)
    seen: list[TurnEvent] = []

    async def take() -> None:
        async for event in session.send(UserMessage("q")):
            seen.append(event)

    with pytest.raises(GenerationError):
        await take()
    assert returned(seen) == ["q"]
    assert await store.conversations() == []
