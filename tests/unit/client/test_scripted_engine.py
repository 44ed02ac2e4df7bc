"""The fake that most tests stand on, held to the contract of `Engine`."""

import asyncio

from app.client.engine import Engine, EngineState
from app.domain.conversation import Role
from app.domain.generation import FinishReason, Usage
from app.domain.sampling import SamplingParams
from app.protocol.commands import ChatMessage, Generate, LoadModel
from app.protocol.events import (
    EngineLost,
    GenerationFinished,
    GenerationStarted,
    LoadFailed,
    LoadProgress,
    ModelReady,
    PrefillProgress,
    TokensGenerated,
)
from tests.fakes.engine_events import make_lost, make_ready
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Load, Reply, pieces, reply


def ask(engine: ScriptedEngine) -> Generate:
    return Generate(engine.next_request_id(), (ChatMessage(Role.USER, "Hi"),), SamplingParams(), 3)


async def collect(stream, into=None):
    events = [] if into is None else into
    async for event in stream:
        events.append(event)
    return events


def test_pieces_join_to_the_text():
    text = "# Hello\n\n**world** of\n  tokens \n"
    assert "".join(pieces(text)) == text
    assert pieces("Hello **world**") == ("Hello", " **world**")


async def test_a_reply_streams_started_prefill_tokens_finished():
    engine: Engine = ScriptedEngine(["Hello **world**"])
    command = ask(engine)
    events = await collect(engine.generate(command))
    assert [type(event) for event in events] == [
        GenerationStarted,
        PrefillProgress,
        TokensGenerated,
        TokensGenerated,
        TokensGenerated,
        GenerationFinished,
    ]
    assert "".join(event.text for event in events[2:5]) == "Hello **world**"
    assert [event.tokens[0].ms for event in events[2:5]] == [30.0, 10.0, 10.0]
    assert [top.p for top in events[2].tokens[0].top] == [0.5, 0.25, 0.125]
    assert events[-1].usage == Usage(20, 0, 3)
    assert events[-1].stop.text == "<|im_end|>"
    assert engine.requests == [command]


async def test_gated_steps_go_one_at_a_time():
    engine = ScriptedEngine([reply("a b c", n_prefill_steps=2)], gated=True)
    seen = []
    reader = asyncio.create_task(collect(engine.generate(ask(engine)), seen))
    await engine.release(2)
    assert [type(event) for event in seen] == [GenerationStarted, PrefillProgress, PrefillProgress]
    await engine.release()
    assert seen[-1].text == "a"
    engine.run_free()
    await reader
    assert seen[-1].finish_reason is FinishReason.STOP


async def test_abort_at_the_gate_ends_at_once_with_exact_usage():
    engine = ScriptedEngine(["a b c"], gated=True)
    command = ask(engine)
    reader = asyncio.create_task(collect(engine.generate(command)))
    await engine.release(3)
    engine.abort(command.request_id)
    events = await reader
    assert events[-1].finish_reason is FinishReason.ABORT
    assert events[-1].usage == Usage(20, 0, 2)
    assert engine.dropped == []


async def test_closing_the_generator_is_recorded():
    engine = ScriptedEngine(["a b c"])
    stream = engine.generate(ask(engine))
    await anext(stream)
    await stream.aclose()
    assert engine.dropped == [1]


async def test_death_mid_reply_then_the_next_one_works():
    engine = ScriptedEngine([Reply(pieces=("a", "b", "c"), dies_after=2), "again"])
    events = await collect(engine.generate(ask(engine)))
    assert isinstance(events[-1], EngineLost)
    assert sum(isinstance(event, TokensGenerated) for event in events) == 2
    assert (engine.state, engine.model) == (EngineState.LOST, None)
    events = await collect(engine.generate(ask(engine)))
    assert events[-1].finish_reason is FinishReason.STOP
    assert (engine.state, engine.n_started) == (EngineState.READY, 2)


async def test_loads_by_script():
    failed = LoadFailed("not a GGUF", "choose another file")
    engine = ScriptedEngine(loads=[Load(), Load(outcome=failed), Load(steps=(), outcome=make_lost())], loaded=False)
    assert engine.state is EngineState.NO_MODEL
    events = await collect(engine.load(LoadModel("/m.gguf")))
    assert events == [LoadProgress(0.0), LoadProgress(0.5), LoadProgress(1.0), make_ready("/m.gguf")]
    assert isinstance(engine.model, ModelReady)
    assert (await collect(engine.load(LoadModel("/x.gguf"))))[-1] == failed
    assert engine.state is EngineState.NO_MODEL
    assert await collect(engine.load(LoadModel("/y.gguf"))) == [make_lost()]
    assert engine.state is EngineState.LOST
    assert [load.path for load in engine.loads] == ["/m.gguf", "/x.gguf", "/y.gguf"]


async def test_gated_load():
    engine = ScriptedEngine(loaded=False, load_gated=True)
    seen = []
    reader = asyncio.create_task(collect(engine.load(LoadModel("/m.gguf")), seen))
    await engine.release_load(2)
    assert seen == [LoadProgress(0.0), LoadProgress(0.5)]
    assert engine.state is EngineState.LOADING
    engine.run_free()
    await reader
    assert engine.state is EngineState.READY
