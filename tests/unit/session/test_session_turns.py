"""A turn, event by event, and what the store holds after it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from app.domain.conversation import Message, ReplyState, Role
from app.domain.generation import FinishReason, Stop, Usage
from app.domain.preset import Preset
from app.domain.sampling import SamplingParams
from app.protocol.commands import ChatMessage
from app.protocol.events import (
    EngineLost,
    GenerationFinished,
    GenerationStarted,
    PrefillProgress,
    TokensGenerated,
)
from app.session.events import MessageStored, ReplyFinished, ReplyStarted, TurnEvent
from app.session.session import Session, title_of
from app.store.store import Store
from tests.fakes.scripted_engine import Reply, ScriptedEngine, pieces, reply

PRESET = Preset(name="test", system="Be brief.", sampling=SamplingParams(top_k=7))


@pytest.fixture
async def store():
    store = await Store.in_memory()
    yield store
    await store.close()


def session_with(store: Store | None, *replies: Reply | str, gated: bool = False) -> tuple[Session, ScriptedEngine]:
    engine = ScriptedEngine(replies, gated=gated)
    return Session(engine, store, preset=PRESET, trace_top_k=3), engine


async def all_of(events) -> list[TurnEvent]:
    return [event async for event in events]


def kinds(events: list[TurnEvent]) -> list[str]:
    return [type(event).__name__ for event in events]


def slow(store: Store, name: str, patch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Makes a method of the store wait; returns the events `it was called` and `it may go on`."""
    called, go_on = asyncio.Event(), asyncio.Event()
    method = getattr(store, name)

    async def waiting(*arguments):
        called.set()
        await go_on.wait()
        return await method(*arguments)

    patch.setattr(store, name, waiting)
    return called, go_on


async def stored_branch(store: Store, session: Session) -> list[Message]:
    assert session.conversation
    return await store.branch(session.conversation.id)


async def test_a_turn_event_by_event(store: Store):
    session, engine = session_with(store, "Soft rain falls.")
    events = await all_of(session.send("A haiku"))
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
    async with aclosing(session.send("first")) as events:
        assert isinstance(await anext(events), MessageStored)
        assert engine.requests == []
        assert [m.content for m in await stored_branch(store, session)] == ["first"]


async def test_the_row_of_the_reply_exists_from_its_start_on(store: Store):
    session, _ = session_with(store, "one two", gated=True)
    async with aclosing(session.send("q")) as events:
        while not isinstance(await anext(events), GenerationStarted):
            pass
        (_, row) = await stored_branch(store, session)
        assert (row.state, row.content) == (ReplyState.STREAMING, "")
        assert session.branch[-1] == row


async def test_a_reply_is_in_the_store_while_it_streams(store: Store):
    session, engine = session_with(store, "one two three", gated=True)
    events = session.send("q")
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
    await all_of(session.send("a"))
    session.preset = Preset(name="other")
    session.model_name = "mine"
    await all_of(session.send("b"))
    assert [(m.role.value, m.content) for m in engine.requests[1].messages] == [
        ("user", "a"),
        ("assistant", "one"),
        ("user", "b"),
    ]
    record = session.branch[-1].generation
    assert record
    assert (record.preset, record.model) == ("other", "mine")


@pytest.mark.parametrize(
    ("finish", "state"),
    [
        (FinishReason.STOP, ReplyState.DONE),
        (FinishReason.LENGTH, ReplyState.DONE),
        (FinishReason.CONTEXT, ReplyState.DONE),
        (FinishReason.ERROR, ReplyState.FAILED),
    ],
)
async def test_every_end_has_its_state_and_keeps_the_text(store: Store, finish: FinishReason, state: ReplyState):
    session, _ = session_with(store, reply("some text", finish=finish, error="boom"))
    await all_of(session.send("q"))
    (_, done) = await stored_branch(store, session)
    assert (done.content, done.state) == ("some text", state)
    assert done.generation
    assert done.generation.finish_reason is finish
    assert done.generation.error == ("boom" if finish is FinishReason.ERROR else "")


async def test_stop_keeps_the_text_so_far_and_the_next_prompt_has_it(store: Store):
    session, engine = session_with(store, "one two three", "next", gated=True)
    events = session.send("q")
    seen: list[TurnEvent] = []
    engine.permit(3)
    while len(pieces("".join(e.text for e in seen if isinstance(e, TokensGenerated)))) < 2:
        seen.append(await anext(events))
    session.stop()
    session.stop()
    seen += await all_of(events)
    assert kinds(seen)[-2:] == ["GenerationFinished", "ReplyFinished"]
    assert engine.aborted == [1]
    (_, done) = await stored_branch(store, session)
    assert (done.content, done.state) == ("one two", ReplyState.STOPPED)
    engine.run_free()
    await all_of(session.send("go on"))
    assert [m.content for m in engine.requests[1].messages] == ["Be brief.", "q", "one two", "go on"]


async def test_stop_before_the_request_sends_none(store: Store):
    session, engine = session_with(store)
    events = session.send("q")
    assert isinstance(await anext(events), MessageStored)
    session.stop()
    assert await all_of(events) == []
    assert engine.requests == []
    assert [m.content for m in session.branch] == ["q"]
    assert not session.busy


async def test_an_empty_reply_is_left_out_of_the_prompt(store: Store):
    session, engine = session_with(store, reply("", finish=FinishReason.LENGTH), "fine")
    await all_of(session.send("a"))
    await all_of(session.send("b"))
    assert [m.content for m in session.branch] == ["a", "", "b", "fine"]
    assert [m.content for m in engine.requests[1].messages] == ["Be brief.", "a", "b"]


async def test_the_death_of_the_engine_keeps_the_text_and_the_chat_goes_on(store: Store):
    session, engine = session_with(store, reply("one two three", dies_after=2), "back again")
    events = await all_of(session.send("q"))
    assert kinds(events)[-2:] == ["EngineLost", "ReplyFinished"]
    assert isinstance(events[-2], EngineLost)
    (_, done) = await stored_branch(store, session)
    assert (done.content, done.state) == ("one two", ReplyState.INTERRUPTED)
    assert done.generation
    assert (done.generation.finish_reason, done.generation.usage, done.generation.error) == (
        FinishReason.ERROR,
        Usage(20, 0, 2),
        "killed by SIGKILL",
    )
    await all_of(session.send("again"))
    assert session.branch[-1].content == "back again"
    assert engine.n_started == 2


async def test_a_request_refused_before_it_starts_leaves_no_reply(store: Store):
    engine = ScriptedEngine(["fine"], loaded=False)
    session = Session(engine, store, preset=PRESET)
    assert kinds(await all_of(session.send("q"))) == ["MessageStored", "GenerationFinished"]
    assert [m.content for m in session.branch] == ["q"]


async def test_closing_the_stream_finishes_the_row_and_drops_the_request(store: Store):
    session, engine = session_with(store, "one two three", gated=True)
    engine.permit(2)
    async with aclosing(session.send("q")) as events:
        async for event in events:
            if isinstance(event, TokensGenerated):
                break
    assert engine.dropped == [1]
    (_, done) = await stored_branch(store, session)
    assert (done.content, done.state) == ("one", ReplyState.STOPPED)
    assert done.generation
    assert (done.generation.finish_reason, done.generation.usage) == (FinishReason.ABORT, Usage(20, 0, 1))
    assert session.branch[-1] == done
    assert not session.busy


@pytest.mark.parametrize("n_steps", [1, 2, 3])
async def test_cancelling_the_task_finishes_the_row(store: Store, n_steps: int):
    session, engine = session_with(store, "one two three", gated=True)

    async def consume() -> None:
        async with aclosing(session.send("q")) as events:
            async for _ in events:
                pass

    task = asyncio.create_task(consume())
    for _ in range(n_steps):
        await engine.release()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (_, done) = await stored_branch(store, session)
    assert (done.content, done.state) == (" ".join(("one", "two")[: n_steps - 1]), ReplyState.STOPPED)
    assert engine.dropped == [1]
    assert not session.busy


async def test_cancelled_while_the_row_is_being_made_it_is_finished_all_the_same(store: Store, monkeypatch):
    session, _ = session_with(store, "one", gated=True)
    making, go_on = slow(store, "add_message", monkeypatch)
    task = asyncio.create_task(all_of(session.send("q")))
    await making.wait()
    task.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    (_, done) = await stored_branch(store, session)
    assert (done.content, done.state) == ("", ReplyState.STOPPED)


async def test_cancelled_while_it_is_being_finished_it_is_finished_all_the_same(store: Store, monkeypatch):
    session, _ = session_with(store, "one")
    finishing, go_on = slow(store, "finish_reply", monkeypatch)
    task = asyncio.create_task(all_of(session.send("q")))
    await finishing.wait()
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    (_, done) = await stored_branch(store, session)
    assert (done.content, done.state) == ("one", ReplyState.DONE)


async def test_leaving_while_the_first_message_is_being_stored_leaves(store: Store, monkeypatch):
    session, engine = session_with(store)
    storing, go_on = slow(store, "start_conversation", monkeypatch)
    task = asyncio.create_task(all_of(session.send("q")))
    await storing.wait()
    session.new()
    go_on.set()
    assert kinds(await task) == ["MessageStored"]
    assert (session.conversation, session.branch, engine.requests) == (None, [], [])
    assert [c.title for c in await store.conversations()] == ["q"]


async def test_regenerate_makes_a_sibling_and_keeps_the_old_reply(store: Store):
    session, engine = session_with(store, "first", "second")
    await all_of(session.send("q"))
    asked, old = session.branch
    events = await all_of(session.regenerate())
    assert kinds(events)[:2] == ["ReplyStarted", "GenerationStarted"]
    new = session.branch[-1]
    assert session.branch == [asked, new] == await stored_branch(store, session)
    assert (old.content, new.content, new.parent_id) == ("first", "second", asked.id)
    assert await store.children(old.conversation_id, asked.id) == [old, new]
    assert engine.requests[0].messages == engine.requests[1].messages


async def test_regenerate_that_never_starts_leaves_the_branch_alone(store: Store):
    session, engine = session_with(store, "first")
    await all_of(session.send("q"))
    before = list(session.branch)
    engine._model = engine._reload = None
    assert kinds(await all_of(session.regenerate())) == ["GenerationFinished"]
    assert session.branch == before == await stored_branch(store, session)


async def test_regenerate_answers_a_message_without_a_reply_and_nothing_at_all(store: Store):
    session, _ = session_with(store, "late answer")
    assert await all_of(session.regenerate()) == []
    events = session.send("q")
    await anext(events)
    await events.aclose()
    await all_of(session.regenerate())
    assert [m.content for m in session.branch] == ["q", "late answer"]


async def test_one_turn_at_a_time(store: Store):
    session, _ = session_with(store, gated=True)
    async with aclosing(session.send("q")) as events:
        await anext(events)
        assert session.busy
        with pytest.raises(RuntimeError):
            await anext(session.send("again"))
        with pytest.raises(RuntimeError):
            await anext(session.regenerate())
    assert not session.busy


async def test_new_leaves_and_open_comes_back(store: Store):
    session, _ = session_with(store, "one", "two")
    assert not await session.open_last()
    await all_of(session.send("a"))
    first = session.conversation
    assert first
    branch = list(session.branch)
    session.new()
    assert (session.conversation, session.branch) == (None, [])
    await all_of(session.send("b"))
    second = session.conversation
    assert second
    assert second.id != first.id
    await session.open(first.id)
    assert session.branch == branch
    assert await session.open_last()
    assert session.conversation
    assert session.conversation.id == second.id


async def test_leaving_during_a_turn_stops_it_and_touches_no_other_branch(store: Store):
    session, engine = session_with(store, "one two", "other", gated=True)
    events = session.send("a")
    engine.permit(2)
    while not isinstance(await anext(events), TokensGenerated):
        pass
    left = session.conversation
    assert left
    session.new()
    await all_of(events)
    engine.run_free()
    assert session.branch == []
    await all_of(session.send("b"))
    assert [m.content for m in session.branch] == ["b", "other"]
    assert [(m.content, m.state) for m in await store.branch(left.id)] == [
        ("a", ReplyState.DONE),
        ("one", ReplyState.STOPPED),
    ]


async def test_opening_what_is_shown_reads_its_row_and_leaves_its_turn_alone(store: Store):
    session, engine = session_with(store, "one two", gated=True)
    events = session.send("a")
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
    assert "StoreFailed" not in kinds(await all_of(session.send("a\ud800")))
    await all_of(session.send("b"))
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
