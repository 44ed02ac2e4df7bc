"""The client and a worker that behaves: streams, aborts, merging, overlap, refusals."""

import asyncio
import time
from contextlib import aclosing

import pytest

from app.client.engine import EngineState
from app.client.process import spawn
from app.client.worker_client import WorkerClient
from app.domain.generation import FinishReason
from app.domain.sampling import SamplingParams
from app.protocol.codec import MAX_FRAME_BYTES
from app.protocol.commands import ChatMessage, Generate
from app.protocol.events import (
    GenerationFinished,
    GenerationStarted,
    Hello,
    LoadFailed,
    LoadProgress,
    ModelReady,
    PrefillProgress,
    TokensGenerated,
)
from tests.fakes.fake_worker import fake_worker
from tests.process.streams import MODEL, ask, collect, load, n_tokens, question, until, until_token


async def test_states_from_start_to_close(start_client):
    client = start_client()
    assert (client.state, client.hello, client.model) == (EngineState.STARTING, None, None)
    assert isinstance(await client.start(), Hello)
    assert client.state is EngineState.NO_MODEL
    events = await collect(client.load(MODEL))
    assert [type(event) for event in events] == [LoadProgress, LoadProgress, ModelReady]
    assert client.state is EngineState.READY
    assert client.model.path == MODEL.path
    await client.close()
    await client.close()
    assert (client.state, client.model) == (EngineState.LOST, None)


async def test_a_request_streams_in_order(start_client):
    client = start_client("--tokens", "3")
    await load(client)
    events = await ask(client)
    kinds = [type(event) for event in events]
    assert kinds[:2] == [GenerationStarted, PrefillProgress]
    assert set(kinds[2:-1]) == {TokensGenerated}
    assert "".join(event.text for event in events[2:-1]) == " 0 1 2"
    assert events[-1].usage.n_generated == n_tokens(events) == 3


async def test_a_worker_spawned_before_the_loop_is_adopted(tmp_path):
    process = await asyncio.to_thread(spawn, tmp_path / "log", fake_worker())
    client = WorkerClient(tmp_path / "log", process=process)
    try:
        hello = await client.start()
        assert hello.pid == process.pid
    finally:
        await client.close()


async def test_ten_thousand_tokens_to_a_reader_that_lags(start_client):
    client = start_client("--tokens", "10000")
    await load(client)
    events = []
    async for event in client.generate(question(client)):
        events.append(event)
        if len(events) == 3:
            time.sleep(0.05)  # noqa: ASYNC251 - the loop itself is held up, as by a slow screen
    assert n_tokens(events) == events[-1].usage.n_generated == 10_000
    deltas = [event for event in events if isinstance(event, TokensGenerated)]
    assert len(deltas) < 10_000
    assert "".join(delta.text for delta in deltas) == "".join(f" {n}" for n in range(10_000))
    assert [token.id for delta in deltas for token in delta.tokens] == list(range(100, 10_100))


async def test_abort_ends_with_finished_and_may_be_repeated(start_client):
    client = start_client("--tokens", "-1")
    await load(client)
    command = question(client)
    events = []
    async for event in client.generate(command):
        events.append(event)
        if n_tokens(events) >= 3:
            client.abort(command.request_id)
    assert events[-1].finish_reason is FinishReason.ABORT
    assert n_tokens(events) == events[-1].usage.n_generated
    client.abort(command.request_id)
    client.abort(999)
    assert client.state is EngineState.READY


async def test_closing_the_stream_ends_the_request_in_the_engine(start_client):
    client = start_client("--tokens", "-1")
    await load(client)
    async with aclosing(client.generate(question(client))) as stream:
        await until_token(stream)
    # The fake serves one request at a time: a second one can only be answered once the first has ended.
    command = question(client)
    async with aclosing(client.generate(command)) as stream:
        events = [await anext(stream) for _ in range(3)]
    assert {event.request_id for event in events} == {command.request_id}


async def test_cancelling_the_reader_ends_the_request_too(start_client):
    client = start_client("--tokens", "-1")
    await load(client)
    seen = asyncio.Event()

    async def read():
        async for event in client.generate(question(client)):
            if isinstance(event, TokensGenerated):
                seen.set()

    reader = asyncio.create_task(read())
    await seen.wait()
    reader.cancel()
    await asyncio.wait([reader])
    await until(lambda: not client._connection._requests)


async def test_overlapping_requests_get_their_own_events(start_client):
    client = start_client("--tokens", "50")
    await load(client)
    commands = [question(client) for _ in range(4)]
    streams = await asyncio.gather(*(collect(client.generate(command)) for command in commands))
    for command, events in zip(commands, streams, strict=True):
        assert {event.request_id for event in events} == {command.request_id}
        assert n_tokens(events) == 50


async def test_without_a_model_a_request_is_refused(start_client):
    client = start_client()
    (finished,) = await ask(client)
    assert (finished.finish_reason, finished.error) == (FinishReason.ERROR, "no model is loaded")
    assert finished.hint


async def test_a_failed_load_leaves_no_model(start_client, tmp_path):
    broken = tmp_path / "broken"
    client = start_client("--fail-load", str(broken))
    await load(client)
    broken.touch()
    assert await load(client) == LoadFailed("the file is gone", "download it again")
    assert (client.state, client.model) == (EngineState.NO_MODEL, None)
    assert (await ask(client))[-1].error == "no model is loaded"


async def test_a_request_waits_for_the_load_in_progress(start_client):
    client = start_client()
    loading = asyncio.create_task(load(client))
    await asyncio.sleep(0)
    assert (await ask(client))[-1].finish_reason is FinishReason.LENGTH
    assert isinstance(await loading, ModelReady)


async def test_abort_while_waiting_for_a_load_is_honoured_at_once(start_client, tmp_path):
    client = start_client("--slow-load", str(tmp_path))
    loading = client.load(MODEL)
    await anext(loading)
    command = question(client)
    waiting = asyncio.create_task(collect(client.generate(command)))
    await until(lambda: command.request_id in client._waiting)
    client.abort(command.request_id)
    (finished,) = await waiting
    assert isinstance(finished, GenerationFinished)
    assert finished.finish_reason is FinishReason.ABORT
    await loading.aclose()


async def test_closing_a_load_cancels_it_and_the_next_one_works(start_client, tmp_path):
    client = start_client("--slow-load", str(tmp_path))
    async with aclosing(client.load(MODEL)) as stream:
        await anext(stream)
        assert client.state is EngineState.LOADING
    await until(lambda: client.state is EngineState.NO_MODEL)
    assert client.model is None


async def test_a_conversation_beyond_a_frame_is_an_error_not_a_loss(start_client):
    client = start_client()
    await load(client)
    message = ChatMessage("user", "x" * MAX_FRAME_BYTES)
    (finished,) = await collect(client.generate(Generate(client.next_request_id(), (message,), SamplingParams())))
    assert finished.finish_reason is FinishReason.ERROR
    assert "too long" in finished.error
    assert client.state is EngineState.READY


@pytest.mark.parametrize("n", [1, 100])
async def test_request_ids_are_never_used_twice(start_client, n):
    client = start_client()
    assert len({client.next_request_id() for _ in range(n)}) == n
