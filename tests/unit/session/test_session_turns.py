"""A turn, event by event, and what the store holds after it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from msgspec.structs import replace

from app.domain.conversation import ReplyState, Role, UserMessage
from app.domain.generation import FinishReason, Stop, Usage
from app.domain.sampling import Preset
from app.protocol.commands import ChatMessage
from app.protocol.events import GenerationFinished, GenerationStarted, PrefillProgress, TokensGenerated
from app.session.events import MessageStored, ReplyFinished, ReplyStarted
from app.session.tree import title_of
from app.store.store import Store
from tests.fakes.scripts import reply
from tests.fakes.stored import children
from tests.unit.session.session_helpers import PRESET, all_of, kinds, session_with, stored_branch


async def test_a_turn_event_by_event(store: Store):
    session, engine = session_with(store, "Soft rain falls.")
    events = await all_of(session.send(UserMessage("A haiku")))
    assert [type(e) for e in events] == [
        MessageStored,
        ReplyStarted,
        GenerationStarted,
        PrefillProgress,
        TokensGenerated,
        TokensGenerated,
        TokensGenerated,
        TokensGenerated,
        GenerationFinished,
        ReplyFinished,
    ]
    asked, begun, done = events[0].message, events[1].message, events[-1].message
    assert (asked.role, asked.content, asked.state) == (Role.USER, "A haiku", ReplyState.DONE)
    assert (begun.role, begun.content, begun.state) == (Role.ASSISTANT, "", ReplyState.STREAMING)
    assert (done.id, done.parent_id) == (begun.id, asked.id)
    assert (done.content, done.state) == ("Soft rain falls.", ReplyState.DONE)
    record = done.generation
    assert (record.model, record.preset, record.seed) == ("SmolLM2 135M Instruct", "test", 42)
    assert (record.finish_reason, record.stop, record.usage) == (
        FinishReason.STOP,
        Stop("eog", "<|im_end|>", 2),
        Usage(20, 0, 4),
    )
    assert record.timings == events[-2].timings
    assert session.branch == [asked, done] == await stored_branch(store, session)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    (request,) = engine.requests
    assert request.messages == (ChatMessage(Role.SYSTEM, "Be brief."), ChatMessage(Role.USER, "A haiku"))
    assert (request.sampling, request.trace_top_k) == (PRESET.sampling, 3)


async def test_the_message_is_stored_before_the_request_is_sent(store: Store):
    session, engine = session_with(store)
    async with aclosing(session.send(UserMessage("first"))) as events:
        assert isinstance(await anext(events), MessageStored)
        assert engine.requests == []
        assert [m.content for m in await stored_branch(store, session)] == ["first"]


async def test_the_row_of_the_reply_exists_from_its_start_on(store: Store):
    session, _ = session_with(store, "one two", gated=True)
    async with aclosing(session.send(UserMessage("q"))) as events:
        while not isinstance(await anext(events), GenerationStarted):
            pass
        (_, row) = await stored_branch(store, session)
        assert (row.state, row.content) == (ReplyState.STREAMING, "")
        assert session.branch[-1] == row


async def test_a_reply_is_in_the_store_while_it_streams(store: Store):
    session, engine = session_with(store, "one two three", gated=True)
    events = session.send(UserMessage("q"))
    engine.permit(3)
    while not isinstance(await anext(events), TokensGenerated):
        pass
    async with asyncio.timeout(5):
        while (await stored_branch(store, session))[-1].content != "one":
            pass
        await anext(events)
        while (await stored_branch(store, session))[-1].content != "one two":
            pass
    assert (await stored_branch(store, session))[-1].state is ReplyState.STREAMING
    await events.aclose()


async def test_the_next_prompt_is_the_whole_branch_under_the_preset_of_now(store: Store):
    session, engine = session_with(store, "one", "two")
    await all_of(session.send(UserMessage("a")))
    session.settings = replace(session.settings, preset=Preset(name="other"))
    session.settings = replace(session.settings, model_name="mine")
    await all_of(session.send(UserMessage("b")))
    assert [(m.role.value, m.content) for m in engine.requests[1].messages] == [
        ("user", "a"),
        ("assistant", "one"),
        ("user", "b"),
    ]
    record = session.branch[-1].generation
    assert record
    assert (record.preset, record.model) == ("other", "mine")


async def test_an_empty_reply_is_left_out_of_the_prompt_and_the_messages_around_it_are_one(store: Store):
    session, engine = session_with(store, reply("", finish=FinishReason.LENGTH), "fine")
    await all_of(session.send(UserMessage("a")))
    await all_of(session.send(UserMessage("b")))
    assert [m.content for m in session.branch] == ["a", "", "b", "fine"]
    assert [m.content for m in engine.requests[1].messages] == ["Be brief.", "a\n\nb"]


async def test_regenerate_makes_a_sibling_and_keeps_the_old_reply(store: Store):
    session, engine = session_with(store, "first", "second")
    await all_of(session.send(UserMessage("q")))
    asked, old = session.branch
    events = await all_of(session.regenerate())
    assert kinds(events)[:2] == ["ReplyStarted", "GenerationStarted"]
    new = session.branch[-1]
    assert session.branch == [asked, new] == await stored_branch(store, session)
    assert (old.content, new.content, new.parent_id) == ("first", "second", asked.id)
    assert await children(store, old.conversation_id, asked.id) == [old, new]
    assert engine.requests[0].messages == engine.requests[1].messages


async def test_regenerate_that_never_starts_leaves_the_branch_alone(store: Store):
    session, engine = session_with(store, "first")
    await all_of(session.send(UserMessage("q")))
    before = list(session.branch)
    engine._model = engine._reload = None
    assert kinds(await all_of(session.regenerate())) == ["GenerationFinished"]
    assert session.branch == before == await stored_branch(store, session)


async def test_regenerate_answers_a_message_without_a_reply_and_nothing_at_all(store: Store):
    session, _ = session_with(store, "late answer")
    assert await all_of(session.regenerate()) == []
    events = session.send(UserMessage("q"))
    await anext(events)
    await events.aclose()
    await all_of(session.regenerate())
    assert [m.content for m in session.branch] == ["q", "late answer"]


async def test_one_turn_at_a_time(store: Store):
    session, _ = session_with(store, gated=True)
    async with aclosing(session.send(UserMessage("q"))) as events:
        await anext(events)
        assert session.busy
        with pytest.raises(RuntimeError):
            await anext(session.send(UserMessage("again")))
        with pytest.raises(RuntimeError):
            await anext(session.regenerate())
    assert not session.busy


async def test_new_leaves_and_open_comes_back(store: Store):
    session, _ = session_with(store, "one", "two")
    assert not await session.open_last()
    await all_of(session.send(UserMessage("a")))
    first = session.conversation
    assert first
    branch = list(session.branch)
    session.new()
    assert (session.conversation, session.branch) == (None, [])
    await all_of(session.send(UserMessage("b")))
    second = session.conversation
    assert second
    assert second.id != first.id
    await session.open(first.id)
    assert session.branch == branch
    assert await session.open_last()
    assert session.conversation
    assert session.conversation.id == second.id


async def test_opening_what_is_shown_reads_its_row_and_leaves_its_turn_alone(store: Store):
    session, engine = session_with(store, "one two", gated=True)
    events = session.send(UserMessage("a"))
    await anext(events)
    assert session.conversation
    await store.rename(session.conversation.id, "Renamed")
    await session.open(session.conversation.id)
    assert session.conversation.title == "Renamed"
    engine.run_free()
    await all_of(events)
    assert [m.content for m in session.branch] == ["a", "one two"]
    assert engine.aborted == []


async def test_without_a_store_the_chat_is_in_memory():
    session, engine = session_with(None, "one", "two")
    assert "StoreFailed" not in kinds(await all_of(session.send(UserMessage("a\ud800"))))
    await all_of(session.send(UserMessage("b")))
    assert [m.content for m in session.branch] == ["a?", "one", "b", "two"]
    assert len({m.id for m in session.branch}) == 4
    assert [m.content for m in engine.requests[1].messages] == ["Be brief.", "a?", "one", "b"]
    assert not session.saving
    assert not await session.open_last()


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("\n\n  Write a haiku \nabout rain", "Write a haiku"),
        ("x" * 61, "x" * 59 + "…"),
        ("\x1b[2J\u202eevil", "␛[2J⟨U+202E⟩evil"),
        (" \n\t", "New conversation"),
    ],
)
def test_the_title_is_the_first_line_that_says_something(text: str, title: str):
    assert title_of(text) == title


async def test_what_the_window_could_not_hold_is_reported_and_kept(store: Store):
    session, engine = session_with(store, reply("a b c", trimmed=(2, 300), n_shifted=40))
    session.settings = replace(session.settings, preset=Preset(name="long", context="shift"))
    events = kinds(await all_of(session.send(UserMessage("q"))))
    assert events[:4] == ["MessageStored", "ContextTrimmed", "ReplyStarted", "GenerationStarted"]
    assert "ContextShifted" in events
    assert engine.requests[0].context_policy == "shift"
    record = (await stored_branch(store, session))[-1].generation
    assert record
    assert (record.n_dropped_messages, record.n_dropped_tokens, record.n_shifted_tokens) == (2, 300, 40)


@pytest.mark.parametrize("saved", [True, False])
async def test_the_engine_may_keep_the_state_of_what_is_kept(store: Store, saved: bool):
    session, engine = session_with(store if saved else None, "one")
    await all_of(session.send(UserMessage("q")))
    assert engine.requests[0].cacheable is saved
    assert engine.requests[0].conversation == (session.branch[0].conversation_id if saved else 0)
    assert session.branch[0].conversation_id


async def test_a_turn_asks_for_speculation_and_stages_as_the_session_says(store: Store):
    session, engine = session_with(store, "one", "two")
    await all_of(session.send(UserMessage("a")))
    session.settings = replace(session.settings, speculate=True, trace_stages=True)
    await all_of(session.regenerate())
    assert [(request.speculate, request.trace_stages) for request in engine.requests] == [(None, False), (True, True)]
