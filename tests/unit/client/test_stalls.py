"""A worker that lives and shows no progress is noticed and reported; one that wakes up continues."""

import asyncio
import os
import signal
from contextlib import aclosing

import pytest

from app.client import connection, liveness
from app.client.connection import Graces
from app.client.engine import EngineState
from app.domain.generation import FinishReason
from app.protocol.commands import LoadModel, Ping
from app.protocol.events import EngineLost, GenerationFinished, ModelReady, Pong
from tests.fakes.smollm2 import smollm2_path
from tests.process.streams import MODEL, ask, collect, load, n_tokens, question, until, until_token

SOON = Graces(hello_s=20.0, abort_s=0.2, cancel_load_s=0.2, exit_s=5.0, silent_s=0.8, quiet_start_s=0.3)
TICK_S = 0.05


@pytest.fixture(autouse=True)
def quick_ticks(monkeypatch):
    """Looks ten times as often, so that a silence is noticed when it is long enough and not half a second later."""
    monkeypatch.setattr(liveness, "TICK_S", TICK_S)
    monkeypatch.setattr(connection, "TICK_S", TICK_S)
    monkeypatch.setattr(liveness, "_ASK_S", 2 * TICK_S)


async def stop(client):
    """Stops the worker with SIGSTOP and returns once that is noticed."""
    os.kill(client.hello.pid, signal.SIGSTOP)
    await until(lambda: client.stall)
    assert not client.stall.answers


async def test_a_stopped_worker_is_noticed_in_a_reply_and_goes_on_when_it_wakes(start_client):
    client = start_client("--tokens", "-1", graces=SOON)
    await load(client)
    command = question(client)
    async with aclosing(client.generate(command)) as stream:
        await until_token(stream)
        assert client.stall is None
        await stop(client)
        assert client.state is EngineState.READY
        os.kill(client.hello.pid, signal.SIGCONT)
        await until(lambda: client.stall is None)
        await until_token(stream)
        client.abort(command.request_id)
        assert (await collect(stream))[-1].finish_reason is FinishReason.ABORT


async def test_a_stopped_worker_is_noticed_in_a_load(start_client, tmp_path):
    slow = tmp_path / "slow"
    slow.touch()
    client = start_client("--slow-load", str(slow), graces=SOON)
    async with aclosing(client.load(MODEL)) as stream:
        await anext(stream)
        await stop(client)
    # Nobody waits for the grace of a cancelled load: it does not answer anyway.
    await until(lambda: client.state is EngineState.LOST, 1.0)
    slow.unlink()
    assert isinstance(await load(client), ModelReady)
    assert not client.crash_looping


async def test_a_stopped_worker_is_noticed_before_it_has_said_anything(start_client):
    client = start_client("--fault", "start:hang", graces=Graces(hello_s=2.0, quiet_start_s=0.6))
    loading = asyncio.create_task(load(client))
    await until(lambda: client.stall)
    assert await loading == EngineLost(-9, "did not start within 2 s", "fault: hang")


async def test_esc_on_a_stopped_worker_ends_the_reply_and_the_next_one_works(start_client):
    client = start_client("--tokens", "-1", graces=SOON)
    await load(client)
    first, command = client.hello.pid, question(client)
    async with aclosing(client.generate(command)) as stream:
        await until_token(stream)
        await stop(client)
        client.abort(command.request_id)
        assert (await collect(stream))[-1] == EngineLost(-9, "did not stop within 0.2 s", "", wished=True)
    command = question(client)
    async with aclosing(client.generate(command)) as stream:
        await until_token(stream)
    assert client.hello.pid != first
    assert client.stall is None


async def test_a_stopped_worker_is_closed_without_waiting(start_client):
    client = start_client("--tokens", "-1", graces=Graces(silent_s=0.8, exit_s=30.0))
    await load(client)
    async with aclosing(client.generate(question(client))) as stream:
        await until_token(stream)
        await stop(client)
        await client.close()
    assert client._connection.lost.exit_code == -9


async def test_what_answers_but_makes_no_progress_is_reported_apart(start_client):
    client = start_client("--fault", "prefill:hang", "--still", "31", graces=SOON)
    await load(client)
    async with aclosing(client.generate(question(client))) as stream:
        await anext(stream)
        await until(lambda: client.stall)
        assert client.stall.answers
        assert client.stall.seconds >= 31


async def test_a_long_step_is_no_stall(start_client):
    client = start_client("--fault", "prefill:hang", graces=SOON)
    await load(client)
    async with aclosing(client.generate(question(client))) as stream:
        await anext(stream)
        pongs = []
        route = client._connection._route
        client._connection._route = lambda event: (pongs.append(event), route(event))
        await until(lambda: len(pongs) > SOON.silent_s / TICK_S, 20.0)
        assert set(map(type, pongs)) == {Pong}
        assert client.stall is None


async def test_an_idle_worker_owes_nothing(start_client):
    client = start_client(graces=SOON)
    await load(client)
    assert n_tokens(await ask(client)) == 5
    await until(lambda: client._connection._ticking is None)
    os.kill(client.hello.pid, signal.SIGSTOP)
    assert client.stall is None
    os.kill(client.hello.pid, signal.SIGCONT)


@pytest.mark.model
async def test_the_real_worker_answers_in_the_middle_of_a_prefill(tmp_path, client):
    assert isinstance(await load(client, LoadModel(str(smollm2_path()))), ModelReady)
    pongs = []
    route = client._connection._route
    client._connection._route = lambda event: (pongs.append(event), route(event))
    command = question(client, "word " * 400, max_tokens=1)
    async with aclosing(client.generate(command)) as stream:
        await anext(stream)
        client._connection._send(Ping())
        events = await collect(stream)
    assert Pong(0.0) in pongs
    assert isinstance(events[-1], GenerationFinished)
