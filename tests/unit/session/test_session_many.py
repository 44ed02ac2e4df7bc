"""Several replies to one message at once."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import msgspec
import pytest

from app.domain.conversation import ReplyState, UserMessage
from app.domain.sampling import Preset, SamplingParams
from app.session.active_turns import merge
from app.session.events import MessageStored, ReplyFinished
from app.store.store import Store
from tests.fakes.scripts import reply
from tests.fakes.stored import children
from tests.unit.session.session_helpers import PRESET, all_of, session_with, siblings, stored_branch


def seeded(seed: int | None):
    return msgspec.structs.replace(PRESET, sampling=msgspec.structs.replace(PRESET.sampling, seed=seed))


async def test_the_replies_are_siblings_of_one_message(store: Store):
    session, engine = session_with(store, "first one", "second", "third")
    session.settings = msgspec.structs.replace(session.settings, preset=seeded(7))
    events = await all_of(session.send_many(UserMessage("A haiku"), 3))
    asked = events[0][1].message
    assert isinstance(events[0][1], MessageStored)
    done = {index: event.message for index, event in events if isinstance(event, ReplyFinished)}
    assert [done[index].content for index in range(3)] == ["first one", "second", "third"]
    assert {message.parent_id for message in done.values()} == {asked.id}
    assert session.branch == [asked, done[2]] == await stored_branch(store, session)
    replies = await children(store, session.conversation.id, asked.id)
    assert [message.content for message in replies] == ["first one", "second", "third"]
    assert [message.generation.seed for message in replies] == [7, 8, 9]
    assert [(request.shares_prefix, request.sampling.seed) for request in engine.requests] == [
        (True, 7),
        (True, 8),
        (True, 9),
    ]
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(("first", "expected"), [(2**32 - 2, [2**32 - 2, 0]), (0, [0, 1])])
async def test_seeds_stay_in_their_range(first: int, expected: list[int]):
    session, engine = session_with(None)
    session.settings = msgspec.structs.replace(session.settings, preset=seeded(first))
    await all_of(session.send_many(UserMessage("x"), 2))
    assert [request.sampling.seed for request in engine.requests] == expected


async def test_without_a_seed_one_is_drawn_and_followed():
    session, engine = session_with(None)
    await all_of(session.send_many(UserMessage("x"), 2))
    first, second = (request.sampling.seed for request in engine.requests)
    assert second == (first + 1) % (2**32 - 1)


async def test_stop_ends_all_of_them_and_keeps_what_came(store: Store):
    session, engine = session_with(store, "one two three", "uno dos tres", gated=True)
    events = asyncio.ensure_future(all_of(session.send_many(UserMessage("x"), 2)))
    await engine.release(2)
    await engine.release(2)
    session.stop()
    done = [event.message for _, event in await events if isinstance(event, ReplyFinished)]
    assert [message.state for message in done] == [ReplyState.STOPPED] * 2
    first, second = (message.content for message in done)
    # The gate lets two tokens pass, to either of them.
    assert len(f"{first} {second}".split()) == 2
    assert any(full.startswith(first) for full in ("one two three", "uno dos tres"))
    assert any(full.startswith(second) for full in ("one two three", "uno dos tres"))
    assert not session.busy


async def test_leaving_early_finishes_every_row(store: Store):
    session, engine = session_with(store, "one two", "uno dos", gated=True)
    async with aclosing(session.send_many(UserMessage("x"), 2)) as events:
        engine.permit(3)
        async for _, event in events:
            if type(event).__name__ == "TokensGenerated":
                break
    assert sorted(engine.dropped) == [1, 2]
    replies = await children(store, session.conversation.id, session.branch[0].id)
    assert [message.state for message in replies] == [ReplyState.STOPPED, ReplyState.STOPPED]
    assert not session.busy


async def test_one_may_die_and_all_are_reported(store: Store):
    session, _ = session_with(store, reply("one two", dies_after=1), "uno dos")
    events = await all_of(session.send_many(UserMessage("x"), 2))
    states = {index: event.message.state for index, event in events if isinstance(event, ReplyFinished)}
    assert states == {0: ReplyState.INTERRUPTED, 1: ReplyState.DONE}


async def test_replies_with_presets_of_their_own(store: Store):
    session, engine = session_with(store, "cool", "warm", "other")
    warm = Preset(name="warm", system="Be warm.", sampling=SamplingParams(temperature=1.5, seed=3))
    events = await all_of(session.parallel(UserMessage("Hello"), [PRESET, warm]))
    assert [event.message.content for _, event in events if isinstance(event, MessageStored)] == ["Hello"]
    assert [(request.shares_prefix, request.sampling) for request in engine.requests] == [
        (True, PRESET.sampling),
        (True, warm.sampling),
    ]
    assert [request.messages[0].content for request in engine.requests] == ["Be brief.", "Be warm."]
    replies = await children(store, session.conversation.id, session.branch[0].id)
    assert [(reply.content, reply.generation.preset, reply.generation.seed) for reply in replies] == [
        ("cool", "test", 42),
        ("warm", "warm", 3),
    ]
    traces = [await store.trace(reply.id) for reply in replies]
    assert [[token.text for token in trace.tokens] for trace in traces] == [
        ["cool", "<|im_end|>"],
        ["warm", "<|im_end|>"],
    ]
    assert all(session.trace(reply.id) for reply in replies)


async def test_the_last_message_is_answered_again_by_several(store: Store):
    session, engine = session_with(store, "old", "a", "b")
    assert await all_of(session.parallel(None, [PRESET, PRESET])) == []
    assert engine.requests == []
    await all_of(session.send(UserMessage("q")))
    events = await all_of(session.parallel(None, [PRESET, PRESET]))
    assert not any(isinstance(event, MessageStored) for _, event in events)
    assert [message.content for message in await siblings(session, session.branch[-1])] == ["old", "a", "b"]
    assert len(session.branch) == 2


@pytest.mark.parametrize("saved", [True, False])
async def test_one_is_picked_and_the_others_stay(store: Store, saved: bool):
    session, engine = session_with(store if saved else None, "first", "second", "third", "next")
    await all_of(session.send_many(UserMessage("q"), 3))
    first, second, _ = await siblings(session, session.branch[-1])
    await session.choose(first)
    assert [message.content for message in session.branch] == ["q", "first"]
    await session.choose(second)
    assert session.branch[-1] == second
    await all_of(session.send(UserMessage("on")))
    assert [message.content for message in engine.requests[-1].messages][1:] == ["q", "second", "on"]
    if saved:
        assert await stored_branch(store, session) == session.branch


async def numbers(*values: int, then: Exception | None = None, closed: list[int] | None = None):
    try:
        for value in values:
            await asyncio.sleep(0)
            yield value
        if then:
            raise then
    finally:
        if closed is not None:
            closed.append(values[0])


async def test_merging_keeps_the_order_of_each_stream():
    merged = await all_of(merge([numbers(1, 2, 3), numbers(10, 20)]))
    assert [value for index, value in merged if index == 0] == [1, 2, 3]
    assert [value for index, value in merged if index == 1] == [10, 20]


async def test_a_failing_stream_ends_all_of_them():
    closed: list[int] = []
    with pytest.raises(OSError, match="full"):
        await all_of(merge([numbers(1, then=OSError("full"), closed=closed), numbers(*range(2, 99), closed=closed)]))
    assert sorted(closed) == [1, 2]
