"""Step mode: a turn is held and let go through the session."""

from __future__ import annotations

from msgspec.structs import replace

from app.domain.conversation import UserMessage
from app.domain.trace import Origin
from app.protocol.commands import Resume
from app.protocol.events import GenerationFinished, Paused, TokensGenerated
from app.session.events import TurnEvent
from app.store.store import Store
from tests.unit.session.session_helpers import PRESET, all_of, kinds, session_with, stored_branch


async def until_paused(events) -> list[TurnEvent]:
    seen: list[TurnEvent] = []
    while not seen or not isinstance(seen[-1], Paused):
        seen.append(await anext(events))
    return seen


def reported(events: list[TurnEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, TokensGenerated)]


async def test_a_turn_steps_from_its_start(store: Store):
    session, engine = session_with(store, "one two three")
    session.settings = replace(session.settings, step_from_start=True)
    events = session.send(UserMessage("q"))
    seen = await until_paused(events)
    assert reported(seen) == []
    assert (seen[-1].n_generated, engine.requests[0].n_steps) == (0, 0)
    session.resume(Resume(n_steps=1))
    assert reported(await until_paused(events)) == ["one"]
    session.resume(Resume(n_steps=2, force_ids=(1002,), force_text=" no", ban_ids=(101,), unban_ids=(102,)))
    assert reported(await until_paused(events)) == [" alt2", " no"]
    assert engine.resumed == [Resume(1, 1), Resume(1, 2, (1002,), " no", (101,), (102,))]
    session.resume(Resume())
    rest = await all_of(events)
    assert kinds(rest)[-2:] == ["GenerationFinished", "ReplyFinished"]
    assert (await stored_branch(store, session))[-1].content == "one alt2 no two three"
    trace = session.trace(session.branch[-1].id)
    assert trace
    assert [token.origin for token in trace.tokens[:4]] == [
        Origin.SAMPLED,
        Origin.FORCED,
        Origin.FORCED,
        Origin.SAMPLED,
    ]


async def test_a_running_turn_is_held_and_a_held_one_can_be_stopped(store: Store):
    session, engine = session_with(store, "one two three", gated=True)
    events = session.send(UserMessage("q"))
    engine.permit(2)
    while not isinstance(await anext(events), TokensGenerated):
        pass
    session.pause()
    assert engine.paused == [1]
    assert reported(await until_paused(events)) == []
    session.stop()
    rest = await all_of(events)
    assert isinstance(rest[0], GenerationFinished)
    assert (await stored_branch(store, session))[-1].content == "one"


async def test_without_a_turn_nothing_is_held(store: Store):
    session, engine = session_with(store, "one")
    await all_of(session.send(UserMessage("q")))
    session.pause()
    session.resume(Resume(n_steps=1))
    assert (engine.paused, engine.resumed) == ([], [])


async def test_several_replies_at_once_do_not_wait_for_steps(store: Store):
    session, engine = session_with(store, "one", "two", "three")
    session.settings = replace(session.settings, step_from_start=True)
    await all_of(session.parallel(UserMessage("q"), [PRESET, PRESET]))
    assert [request.n_steps for request in engine.requests] == [None, None]
    session.settings = replace(session.settings, step_from_start=False)
    await all_of(session.fork(session.branch[-1], 1, n_steps=9))
    assert engine.requests[2].n_steps == 9
