"""The client and a worker: pausing and resuming, tokens, predictions and scores, and what becomes of them in a loss."""

import asyncio
from contextlib import aclosing

import pytest

from app.client.connection import Graces
from app.client.engine import EngineState
from app.domain.generation import FinishReason
from app.domain.sampling import SamplingParams
from app.protocol.codec import MAX_FRAME_BYTES
from app.protocol.commands import ChatMessage, Predict, Resume, Score, Tokenize
from app.protocol.events import (
    EngineLost,
    GenerationFinished,
    GenerationStarted,
    Paused,
    Predicted,
    PrefillProgress,
    Scored,
    ScoreFinished,
    Tokenized,
)
from tests.fakes.engine_events import make_prediction, make_prompt
from tests.process.streams import MODEL, collect, load, n_tokens, question, until, until_token

HI = (ChatMessage("user", "Hi"),)


async def until_paused(stream) -> list:
    events = [await anext(stream)]
    while not isinstance(events[-1], Paused):
        events.append(await anext(stream))
    return events


async def test_a_reply_pauses_and_goes_on(start_client):
    client = start_client("--tokens", "-1")
    await load(client)
    command = question(client)
    async with aclosing(client.generate(command)) as stream:
        await until_token(stream)
        client.pause(command.request_id)
        paused = (await until_paused(stream))[-1]
        assert paused.prediction == make_prediction(f" {paused.n_generated}", paused.n_generated)
        client.resume(Resume(command.request_id))
        await until_token(stream)


async def test_a_request_that_waits_for_its_model_pauses_before_its_first_token(start_client):
    client = start_client("--tokens", "2")
    loading = asyncio.create_task(load(client))
    command = question(client)
    async with aclosing(client.generate(command)) as stream:
        first = asyncio.create_task(anext(stream))
        await until(lambda: command.request_id in client._waiting)
        client.pause(command.request_id)
        events = [await first, *await until_paused(stream)]
        assert [type(event) for event in events] == [GenerationStarted, PrefillProgress, Paused]
        assert events[-1].n_generated == 0
        client.resume(Resume(command.request_id))
        assert n_tokens([event async for event in stream]) == 2
    await loading


async def test_a_paused_reply_is_aborted(start_client):
    client = start_client("--tokens", "-1")
    await load(client)
    command = question(client)
    async with aclosing(client.generate(command)) as stream:
        await until_token(stream)
        client.pause(command.request_id)
        await until_paused(stream)
        client.abort(command.request_id)
        (finished,) = [event async for event in stream]
    assert isinstance(finished, GenerationFinished)
    assert finished.finish_reason is FinishReason.ABORT


async def test_pausing_what_does_not_run_sends_nothing(start_client):
    client = start_client("--tokens", "1")
    client.pause(1)
    client.resume(Resume(1))
    await load(client)
    client.pause(1)
    client.resume(Resume(1))
    assert n_tokens(await collect(client.generate(question(client)))) == 1


async def test_a_text_is_tokenised_and_a_token_predicted(start_client):
    client = start_client()
    await load(client)
    assert await client.tokenize(Tokenize(1, "abc")) == Tokenized(1, make_prompt(3))
    assert await client.predict(Predict(2, HI, SamplingParams())) == Predicted(2, 20, make_prediction(" next"))
    assert not client._connection._requests


async def test_a_score_streams_to_its_end(start_client):
    client = start_client("--tokens", "3")
    await load(client)
    events = await collect(client.score(Score(1, "abc", top_k=2)))
    assert [token.text for event in events[:-1] for token in event.tokens] == [" 0", " 1", " 2"]
    assert events[-1] == ScoreFinished(1, 3, 3, 3.0)


async def test_an_aborted_score_ends_with_what_it_has(start_client):
    client = start_client("--tokens", "-1")
    await load(client)
    async with aclosing(client.score(Score(1, "abc"))) as stream:
        assert isinstance(await anext(stream), Scored)
        client.abort(1)
        ended = [event async for event in stream][-1]
    assert (ended.error, ended.n_tokens > 0) == ("aborted", True)


async def test_closing_a_score_ends_it_in_the_engine(start_client):
    client = start_client("--tokens", "-1")
    await load(client)
    async with aclosing(client.score(Score(1, "abc"))) as stream:
        await anext(stream)
    # The fake serves one request at a time: a second one can only be answered once the first has ended.
    assert isinstance(await client.tokenize(Tokenize(2, "abc")), Tokenized)


async def test_a_cancelled_prediction_is_aborted(start_client):
    client = start_client("--fault", "token:hang", graces=Graces(abort_s=0.2, exit_s=5.0))
    await load(client)
    asking = asyncio.create_task(client.predict(Predict(1, HI, SamplingParams())))
    await until(lambda: bool(client._connection and client._connection._requests))
    asking.cancel()
    await asyncio.wait([asking])
    await until(lambda: client.state is EngineState.LOST)
    assert "did not stop" in client._connection.lost.reason


@pytest.mark.parametrize("asked", ["tokenize", "predict", "score"])
async def test_the_loss_of_the_worker_is_the_answer(start_client, asked):
    client = start_client("--fault", "token:SIGKILL", "--tokens", "3")
    await load(client)
    if asked == "score":
        answer = (await collect(client.score(Score(1, "abc"))))[-1]
    elif asked == "predict":
        answer = await client.predict(Predict(1, HI, SamplingParams()))
    else:
        answer = await client.tokenize(Tokenize(1, "abc"))
    assert isinstance(answer, EngineLost)
    assert answer.exit_code == -9


async def test_without_a_model_each_is_refused(start_client):
    client = start_client()
    assert (await client.tokenize(Tokenize(1, "x"))).error == "no model is loaded"
    assert (await client.predict(Predict(2, HI, SamplingParams()))).error == "no model is loaded"
    assert await collect(client.score(Score(3, "x"))) == [ScoreFinished(3, error="no model is loaded")]


async def test_an_abort_while_waiting_for_a_load_answers(start_client, tmp_path):
    client = start_client("--slow-load", str(tmp_path))
    loading = client.load(MODEL)
    await anext(loading)
    waiting = asyncio.create_task(client.tokenize(Tokenize(7, "x")))
    await until(lambda: 7 in client._waiting)
    client.abort(7)
    assert await waiting == Tokenized(7, error="it was aborted")
    await loading.aclose()


async def test_a_text_beyond_a_frame_is_an_error_not_a_loss(start_client):
    client = start_client()
    await load(client)
    assert "too long" in (await client.tokenize(Tokenize(1, "x" * MAX_FRAME_BYTES))).error
    assert client.state is EngineState.READY
