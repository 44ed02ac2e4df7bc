"""However a turn ends, its text is kept, its row finished and its request over."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from app.domain.conversation import ReplyState, Role, UserMessage
from app.domain.errors import GenerationError
from app.domain.generation import FinishReason, Usage
from app.protocol.events import (
    EngineLost,
    TokensGenerated,
)
from app.session.budget import budget_of
from app.session.events import MessageStored, TurnEvent
from app.store.store import Store
from tests.fakes.scripts import pieces, reply
from tests.unit.session.session_helpers import all_of, kinds, session_with, slow, stored_branch


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
    await all_of(session.send(UserMessage("q")))
    (_, done) = await stored_branch(store, session)
    assert (done.content, done.state) == ("some text", state)
    assert done.generation
    assert done.generation.finish_reason is finish
    assert done.generation.error == ("boom" if finish is FinishReason.ERROR else "")


async def test_stop_keeps_the_text_so_far_and_the_next_prompt_has_it(store: Store):
    session, engine = session_with(store, "one two three", "next", gated=True)
    events = session.send(UserMessage("q"))
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
    await all_of(session.send(UserMessage("go on")))
    assert [m.content for m in engine.requests[1].messages] == ["Be brief.", "q", "one two", "go on"]


async def test_stop_before_the_request_sends_none_and_marks_the_message(store: Store):
    session, engine = session_with(store, "answer")
    events = session.send(UserMessage("q"))
    assert isinstance(await anext(events), MessageStored)
    session.stop()
    assert kinds(await all_of(events)) == ["ReplyStarted", "ReplyFinished"]
    assert engine.requests == []
    assert [(m.content, m.state) for m in session.branch] == [("q", ReplyState.DONE), ("", ReplyState.STOPPED)]
    assert await stored_branch(store, session) == session.branch
    assert not session.busy
    await all_of(session.regenerate())
    assert [m.content for m in session.branch] == ["q", "answer"]


@pytest.mark.parametrize("n_steps", [0, 1])
async def test_what_was_stopped_before_its_first_token_is_one_turn_with_the_next(store: Store, n_steps: int):
    session, engine = session_with(store, "one two three", "next", gated=True)
    engine.permit(n_steps)
    events = session.send(UserMessage("q"))
    while n_steps and not engine.requests:
        await anext(events)
    if not n_steps:
        await anext(events)
    session.stop()
    await all_of(events)
    assert [(m.content, m.state) for m in session.branch[1:]] == [("", ReplyState.STOPPED)]
    engine.run_free()
    await all_of(session.send(UserMessage("go on")))
    assert [(m.role, m.content) for m in engine.requests[-1].messages] == [
        (Role.SYSTEM, "Be brief."),
        (Role.USER, "q\n\ngo on"),
    ]
    budget = await budget_of(engine, session.settings.preset, session.branch[:2], UserMessage("go on"))
    assert budget
    assert engine.tokenized[-1].messages == engine.requests[-1].messages


async def test_an_engine_that_dies_in_prefill_leaves_a_marked_reply_that_is_not_sent(store: Store):
    session, engine = session_with(store, reply("one", dies_after=0), reply("one", dies_after=0), "at last")
    await all_of(session.send(UserMessage("q")))
    (_, dead) = await stored_branch(store, session)
    assert (dead.content, dead.state) == ("", ReplyState.INTERRUPTED)
    assert dead.generation
    assert dead.generation.error == "killed by SIGKILL"
    await all_of(session.send(UserMessage("are you there?")))
    await all_of(session.regenerate())
    assert [m.content for m in engine.requests[-1].messages] == ["Be brief.", "q\n\nare you there?"]
    assert [m.content for m in session.branch] == ["q", "", "are you there?", "at last"]


async def test_the_death_of_the_engine_keeps_the_text_and_the_chat_goes_on(store: Store):
    session, engine = session_with(store, reply("one two three", dies_after=2), "back again")
    events = await all_of(session.send(UserMessage("q")))
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
    await all_of(session.send(UserMessage("again")))
    assert session.branch[-1].content == "back again"
    assert engine.n_started == 2


async def test_a_stream_that_raises_keeps_the_text_and_shows_the_error(store: Store, monkeypatch):
    session, engine = session_with(store, "one two")
    generate = engine.generate

    async def breaks_off(command):
        async for event in generate(command):
            yield event
            if isinstance(event, TokensGenerated):
                raise GenerationError("broken pipe")

    monkeypatch.setattr(engine, "generate", breaks_off)
    with pytest.raises(GenerationError):
        await all_of(session.send(UserMessage("q")))
    (_, done) = await stored_branch(store, session)
    assert (done.content, done.state) == ("one", ReplyState.INTERRUPTED)
    assert not session.busy


async def test_closing_the_stream_finishes_the_row_and_drops_the_request(store: Store):
    session, engine = session_with(store, "one two three", gated=True)
    engine.permit(2)
    async with aclosing(session.send(UserMessage("q"))) as events:
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
        async with aclosing(session.send(UserMessage("q"))) as events:
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
    task = asyncio.create_task(all_of(session.send(UserMessage("q"))))
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
    task = asyncio.create_task(all_of(session.send(UserMessage("q"))))
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
    task = asyncio.create_task(all_of(session.send(UserMessage("q"))))
    await storing.wait()
    session.new()
    go_on.set()
    assert kinds(await task) == ["MessageStored", "ReplyStarted", "ReplyFinished"]
    assert (session.conversation, session.branch, engine.requests) == (None, [], [])
    assert [c.title for c in await store.conversations()] == ["q"]


async def test_leaving_during_a_turn_stops_it_and_touches_no_other_branch(store: Store):
    session, engine = session_with(store, "one two", "other", gated=True)
    events = session.send(UserMessage("a"))
    engine.permit(2)
    while not isinstance(await anext(events), TokensGenerated):
        pass
    left = session.conversation
    assert left
    session.new()
    await all_of(events)
    engine.run_free()
    assert session.branch == []
    await all_of(session.send(UserMessage("b")))
    assert [m.content for m in session.branch] == ["b", "other"]
    assert [(m.content, m.state) for m in await store.branch(left.id)] == [
        ("a", ReplyState.DONE),
        ("one", ReplyState.STOPPED),
    ]
