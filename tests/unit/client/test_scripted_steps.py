"""Step mode, predictions and scores of the scripted engine."""

import asyncio
import math
from contextlib import aclosing

import pytest

from app.domain.conversation import Role
from app.domain.generation import FinishReason
from app.domain.sampling import SamplingParams
from app.domain.trace import Origin
from app.protocol.commands import ChatMessage, Generate, Predict, Resume, Score, Tokenize
from app.protocol.events import (
    GenerationFinished,
    GenerationStarted,
    Paused,
    Predicted,
    PrefillProgress,
    PromptRendered,
    Scored,
    ScoreFinished,
    TokensGenerated,
)
from tests.fakes.engine_events import make_prediction, make_prompt
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Reply, reply

HI = (ChatMessage(Role.USER, "Hi"),)


def ask(engine: ScriptedEngine, **changes) -> Generate:
    return Generate(engine.next_request_id(), HI, SamplingParams(), 3, **changes)


def texts(events) -> list[str]:
    return [event.tokens[0].text for event in events if isinstance(event, TokensGenerated)]


async def until_paused(stream) -> list:
    events = [await anext(stream)]
    while not isinstance(events[-1], Paused):
        events.append(await anext(stream))
    return events


async def test_a_reply_is_stepped_from_its_start_to_its_end():
    engine = ScriptedEngine(["one two"])
    command = ask(engine, n_steps=0, include_prompt=True)
    async with aclosing(engine.generate(command)) as stream:
        events = await until_paused(stream)
        assert [type(event) for event in events] == [GenerationStarted, PromptRendered, PrefillProgress, Paused]
        assert events[1].tokens == make_prompt(20)
        assert events[-1] == Paused(1, 0, make_prediction("one"))
        assert [top.p for top in events[-1].prediction.after] == [8 / 15, 4 / 15, 2 / 15, 1 / 15]
        engine.resume(Resume(1, n_steps=1))
        events = await until_paused(stream)
        assert texts(events) == ["one"]
        assert events[-1] == Paused(1, 1, make_prediction(" two", 1))
        engine.resume(Resume(1))
        events = [event async for event in stream]
    assert texts(events) == [" two", "<|im_end|>"]
    assert events[-1].usage.n_generated == 3
    assert engine.resumed == [Resume(1, n_steps=1), Resume(1)]


async def test_an_alternative_is_forced_a_text_is_forced_and_a_token_is_banned():
    engine = ScriptedEngine(["a b c"])
    async with aclosing(engine.generate(ask(engine, n_steps=1))) as stream:
        prediction = (await until_paused(stream))[-1].prediction
        alternative = prediction.before[1]
        engine.resume(Resume(1, n_steps=3, force_ids=(alternative.id,), force_text=" two words"))
        events = await until_paused(stream)
        forced = [event.tokens[0] for event in events[:-1]]
        assert [token.text for token in forced] == [" alt2", " two", " words"]
        assert {token.origin for token in forced} == {Origin.FORCED}
        assert (forced[0].id, forced[0].p, forced[0].rank) == (1002, 0.25, 2)
        assert (forced[1].p, forced[1].rank) == (2**-11, 11)
        banned = events[-1].prediction.before[2]  # the fifth token of a reply has rank 3
        assert banned.text == " b"
        engine.resume(Resume(1, ban_ids=(banned.id,)))
        events = [event async for event in stream]
    assert texts(events) == [" alt1", " c", "<|im_end|>"]


async def test_pause_holds_at_the_gate_and_abort_ends_a_paused_reply():
    engine = ScriptedEngine(["a b c"], gated=True)
    seen = []

    async def read():
        async for event in engine.generate(ask(engine)):
            seen.append(event)

    reader = asyncio.create_task(read())
    await engine.release(2)
    engine.pause(1)
    await engine.settled()
    assert isinstance(seen[-1], Paused)
    assert engine.paused == [1]
    engine.resume(Resume(1))
    await engine.release()
    assert texts(seen) == ["a", " b"]
    engine.pause(1)
    await engine.settled()
    engine.abort(1)
    await reader
    assert isinstance(seen[-1], GenerationFinished)
    assert seen[-1].finish_reason is FinishReason.ABORT
    assert seen[-1].usage.n_generated == 2


async def test_what_a_request_forces_comes_first_and_a_prediction_can_be_given():
    given = make_prediction("x", n_top=2)
    engine = ScriptedEngine([reply("end", predictions=(given,))])
    command = Generate(1, HI, SamplingParams(force=("#7",)), 3, n_steps=2, reply_text=" so")
    async with aclosing(engine.generate(command)) as stream:
        events = await until_paused(stream)
        assert texts(events) == [" #7", " so"]
        assert events[-1].prediction == given
        engine.resume(Resume(1))
        assert texts([event async for event in stream]) == ["end", "<|im_end|>"]


async def test_the_stage_report_of_a_token():
    engine = ScriptedEngine([Reply(pieces=("a", " b", " c"), finish=FinishReason.LENGTH)])
    events = [event async for event in engine.generate(ask(engine, trace_stages=True))]
    token = events[4].tokens[0]
    assert [(stage.name, stage.n_in, stage.n_out) for stage in token.stages] == [
        ("top-k", 49152, 4),
        ("temperature", 4, 4),
        ("dist", 4, 4),
    ]
    assert token.rank == 2
    assert (token.draw.low, token.draw.u, token.draw.high) == pytest.approx((8 / 15, 10 / 15, 12 / 15))


async def test_tokens_and_bytes_of_a_text_and_of_messages():
    engine = ScriptedEngine()
    answer = await engine.tokenize(Tokenize(1, "Grüße <|im_end|>"))
    assert [(token.id, token.text, token.n_bytes, token.is_control) for token in answer.tokens] == [
        (300, "Grüße", 7, False),
        (301, " <|im_end|>", 11, False),
    ]
    answer = await engine.tokenize(Tokenize(2, "a<|im_end|>", parse_special=True))
    assert [token.is_control for token in answer.tokens] == [False, True]
    answer = await engine.tokenize(Tokenize(3, messages=HI))
    text = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert "".join(token.text for token in answer.tokens) == text
    assert sum(token.n_bytes for token in answer.tokens) == len(text)


async def test_a_prediction():
    engine = ScriptedEngine()
    command = Predict(1, HI, SamplingParams(), top_k=2)
    assert await engine.predict(command) == Predicted(1, 8, make_prediction(" next", n_top=2))
    engine.prediction = make_prediction("x")
    assert (await engine.predict(command)).prediction == make_prediction("x")
    assert (await ScriptedEngine(loaded=False).predict(command)).error == "no model is loaded"


async def test_a_score_and_its_end():
    engine = ScriptedEngine()
    events = [event async for event in engine.score(Score(1, "a b c d e", top_k=2))]
    assert [len(event.tokens) for event in events if isinstance(event, Scored)] == [4, 1]
    assert [token.p for event in events[:-1] for token in event.tokens] == [1.0, 0.5, 0.25, 0.5, 0.125]
    assert events[-1].nll == pytest.approx(7 * math.log(2))
    assert (events[-1].n_tokens, events[-1].n_scored) == (5, 4)


async def test_an_aborted_score():
    engine = ScriptedEngine(gated=True)
    async with aclosing(engine.score(Score(1, "a b c d e"))) as stream:
        engine.permit()
        assert len((await anext(stream)).tokens) == 4
        engine.abort(1)
        ended = await anext(stream)
    assert isinstance(ended, ScoreFinished)
    assert (ended.n_tokens, ended.error) == (4, "it was aborted")
