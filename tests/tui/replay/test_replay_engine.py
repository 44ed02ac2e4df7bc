"""The clock of a replay and the engine that plays by it."""

from __future__ import annotations

import asyncio

import pytest

from app.analysis.recording import Recording
from app.client.engine import Benchable, Engine, EngineState, Forgetful, Queryable, Restartable, Steerable
from app.domain.conversation import Role
from app.domain.generation import FinishReason
from app.domain.sampling import SamplingParams
from app.protocol.commands import ChatMessage, Generate, LoadModel
from app.protocol.events import GenerationEvent, GenerationFinished, GenerationStarted, TokensGenerated
from app.tui.replay.engine import FASTEST, ReplayClock, ReplayEngine

ASK = Generate(7, (ChatMessage(Role.USER, "?"),), SamplingParams())


class Watch:
    """A clock that a test sets, in seconds."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def loaded(recording: Recording, clock: ReplayClock) -> ReplayEngine:
    engine = ReplayEngine(recording, clock)
    engine._state = EngineState.READY  # pyright: ignore[reportPrivateUsage] -- as after a load
    return engine


def test_the_clock_runs_at_its_speed_and_is_held() -> None:
    watch = Watch()
    clock = ReplayClock(2.0, watch)
    clock.start()
    watch.now += 1.0
    assert clock.at_ms == 2000.0
    clock.change_speed(0.5)
    watch.now += 1.0
    assert clock.at_ms == 3000.0
    clock.hold(held=True)
    watch.now += 60.0
    assert clock.at_ms == 3000.0
    clock.hold(held=False)
    watch.now += 1.0
    assert clock.at_ms == 4000.0
    clock.change_speed(1e9)
    assert clock.speed == FASTEST


async def test_waiting_ends_when_the_time_has_come_or_it_is_given_up() -> None:
    watch = Watch()
    clock = ReplayClock(1.0, watch)
    clock.start()
    over = False
    waiting = asyncio.create_task(clock.until(1e9, lambda: over))
    await asyncio.sleep(0)
    clock.wake()
    await asyncio.sleep(0)
    assert not waiting.done()
    watch.now += 1e6
    clock.wake()
    await waiting
    clock.hold(held=True)
    waiting = asyncio.create_task(clock.until(0.0, lambda: over))
    await asyncio.sleep(0)
    assert not waiting.done()
    over = True
    clock.wake()
    await waiting


async def test_it_plays_every_event_with_the_requests_id(recording: Recording) -> None:
    engine: Engine = ReplayEngine(recording, ReplayClock(0.0))
    assert engine.state is EngineState.NO_MODEL
    assert [event async for event in engine.load(LoadModel("nothing"))] == [recording.model.ready]
    assert (engine.state, engine.model) == (EngineState.READY, recording.model.ready)
    events = [event async for event in engine.generate(ASK)]
    assert [type(event) for event in events] == [type(event) for _, event in recording.events]
    assert {event.request_id for event in events} == {7}  # pyright: ignore[reportAttributeAccessIssue]
    assert "".join(event.text for event in events if isinstance(event, TokensGenerated)) == "Rain falls down."


async def test_an_abort_ends_it_with_what_was_played(recording: Recording) -> None:
    watch = Watch()
    clock = ReplayClock(1.0, watch)
    engine = loaded(recording, clock)
    events: list[GenerationEvent] = []
    async for event in engine.generate(ASK):
        events.append(event)
        if isinstance(event, GenerationStarted):
            watch.now += 0.041
        if isinstance(event, TokensGenerated) and event.text == " falls":
            engine.abort(7)
    end = events[-1]
    assert isinstance(end, GenerationFinished)
    assert (end.finish_reason, end.usage.n_generated, end.usage.n_prompt) == (FinishReason.ABORT, 2, 20)
    assert (end.timings.ttft_ms, end.timings.decode_ms, end.timings.decode_tps) == (30.0, 10.0, 100.0)
    assert clock.held


async def test_a_cut_recording_ends_with_its_line(cut: Recording) -> None:
    engine = loaded(cut, ReplayClock(0.0))
    end = [event async for event in engine.generate(ASK)][-1]
    assert isinstance(end, GenerationFinished)
    assert (end.finish_reason, end.error) == (
        FinishReason.ERROR,
        "the recording ends here, at line 6 of run.jsonl",
    )


@pytest.mark.parametrize("capability", [Steerable, Queryable, Benchable, Forgetful, Restartable])
def test_it_can_do_no_more_than_the_core(recording: Recording, capability: type[object]) -> None:
    assert not isinstance(ReplayEngine(recording, ReplayClock(0.0)), capability)
