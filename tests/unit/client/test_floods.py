"""A worker that sends without end: what lies unread is bounded, the loop stays alive, the worker is ended."""

import asyncio
import os
import signal
from contextlib import aclosing

import pytest

from app.client.connection import Graces
from app.client.engine import EngineState
from app.client.mailbox import MAX_UNREAD
from app.protocol.commands import Generate
from app.protocol.events import EngineLost, GenerationStarted, ModelReady, TokensGenerated
from tests.process.streams import MODEL, alive, ask, collect, load, question, until

GRACES = Graces(hello_s=20.0, abort_s=0.2, cancel_load_s=20.0, exit_s=5.0)


def shifting(client) -> Generate:
    """A request whose reply may be endless."""
    plain = question(client)
    return Generate(plain.request_id, plain.messages, plain.sampling, 3, context_policy="shift")


@pytest.mark.parametrize("place", ["prefill", "token"])
async def test_more_than_a_reply_can_have_ends_the_worker(start_client, tmp_path, place):
    client = start_client("--fault", f"{place}:flood", "--once", str(tmp_path / "once"))
    await load(client)
    lost = (await ask(client))[-1]
    assert lost.reason == "broke the protocol: more events than the request allows"
    assert (await ask(client))[-1].finish_reason == "length"


async def test_more_than_a_load_can_have_ends_the_worker(start_client):
    client = start_client("--fault", "load:flood")
    lost = await load(client)
    assert lost.reason == "broke the protocol: more events than a load allows"


async def test_events_of_no_request_end_the_worker(start_client):
    client = start_client("--fault", "prefill:strays")
    await load(client)
    assert (await ask(client))[-1].reason == "broke the protocol: too many events of requests that have ended"


async def test_what_nobody_reads_is_bounded_and_is_read_on_later(start_client):
    client = start_client("--fault", "token:flood", graces=GRACES)
    await load(client)
    pid, command = client.hello.pid, shifting(client)
    async with aclosing(client.generate(command)) as stream:
        assert isinstance(await anext(stream), GenerationStarted)
        connection = client._connection
        await until(lambda: connection._backlog.full)
        await until(lambda: connection._room._value == 0)  # the reading thread waits
        n_unread = connection._backlog._n
        assert n_unread < 3 * MAX_UNREAD
        for _ in range(100):
            await asyncio.sleep(0)
        assert connection._backlog._n == n_unread
        assert client.stall is None
        for _ in range(50):
            await anext(stream)
        assert connection._room._value > 0 or not connection._backlog.full
        client.abort(command.request_id)
        assert isinstance((await collect(stream))[-1], EngineLost)
    assert not alive(pid)
    assert connection._backlog._n == 0


async def test_the_loop_lives_on_in_a_flood(start_client):
    client = start_client("--fault", "token:flood", graces=GRACES)
    await load(client)
    command, n_turns, tasks = shifting(client), 0, []

    async def others():
        nonlocal n_turns
        while n_turns < 200:
            n_turns += 1
            await asyncio.sleep(0)
        client.abort(command.request_id)

    async for event in client.generate(command):
        if not tasks and isinstance(event, TokensGenerated):
            tasks.append(asyncio.create_task(others()))
        last = event
    assert (n_turns, last) == (200, EngineLost(-9, "did not stop within 0.2 s", "fault: flood", wished=True))


async def test_a_worker_that_dies_while_nobody_reads_is_still_reaped(start_client):
    client = start_client("--fault", "token:flood", graces=GRACES)
    await load(client)
    pid = client.hello.pid
    async with aclosing(client.generate(shifting(client))) as stream:
        await anext(stream)
        await until(lambda: client._connection._room._value == 0)
    # Leaving drops what lies unread and asks for an abort, which a flooding worker does not hear.
    await until(lambda: client.state is EngineState.LOST)
    assert not alive(pid)
    assert isinstance(await load(client, MODEL), ModelReady)


async def test_a_flood_at_the_end_of_the_app_is_closed(start_client):
    client = start_client("--fault", "token:flood", graces=Graces(exit_s=0.2))
    await load(client)
    pid = client.hello.pid
    async with aclosing(client.generate(shifting(client))) as stream:
        await anext(stream)
        await until(lambda: client._connection._room._value == 0)
        await client.close()
    assert not alive(pid)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
