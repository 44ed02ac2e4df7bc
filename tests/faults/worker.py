"""Faults of the worker process, tried on the client over a fake worker that does them on demand."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path

from app.client.connection import Graces
from app.client.engine import EngineState
from app.client.mailbox import MAX_UNREAD
from app.client.worker_client import WorkerClient
from app.domain.generation import FinishReason
from app.protocol.commands import Generate, LoadModel
from app.protocol.events import EngineLost, ModelReady, TokensGenerated
from tests.fakes.fake_worker import fake_worker
from tests.faults.fault import Fault
from tests.process.streams import ask, collect, load, n_tokens, question, until, until_token

_GRACES = Graces(hello_s=30.0, abort_s=0.3, cancel_load_s=0.3, exit_s=5.0, silent_s=1.5)
_REST = "the rest of the reply that was being written"
_DEATHS = ("SIGKILL", "SIGSEGV", "SIGABRT", "SIGBUS", "exit1", "truncated", "garbage", "oversize", "eof")


@asynccontextmanager
async def _client(folder: Path, *options: str) -> AsyncGenerator[WorkerClient]:
    client = WorkerClient(folder / "engine.log", argv=fake_worker(*options), graces=_GRACES)
    try:
        yield client
    finally:
        await client.close()


async def _works(client: WorkerClient, n: int = 40) -> None:
    """The next request is answered whole."""
    events = await ask(client)
    assert (n_tokens(events), events[-1].finish_reason) == (n, FinishReason.LENGTH)


async def _dies(place: str, folder: Path, draw: random.Random) -> str:
    kind, after = draw.choice(_DEATHS), draw.randrange(40)
    options = ("--fault", f"{place}:{kind}", "--once", str(folder / "once"), "--after", str(after), "--tokens", "40")
    async with _client(folder, *options) as client:
        first = await load(client)
        if place == "load":
            assert isinstance(first, EngineLost)
            assert isinstance(await load(client), ModelReady)
        elif place == "ready":
            await until(lambda: client.state is EngineState.LOST)
        else:
            events = await ask(client)
            assert isinstance(events[-1], EngineLost)
            assert n_tokens(events) == (after if place == "token" else 0)
        await _works(client)
    return _REST if place == "token" else ""


async def _killed_from_outside(folder: Path, draw: random.Random) -> str:
    at, n_seen = draw.randrange(40), 0
    async with _client(folder, "--tokens", "40") as client:
        await load(client)
        async with aclosing(client.generate(question(client))) as stream:
            async for event in stream:
                n_seen += len(event.tokens) if isinstance(event, TokensGenerated) else 0
                if n_seen >= at and client.state is EngineState.READY and client.hello:
                    os.kill(client.hello.pid, signal.SIGKILL)
                    at = 1 << 30
        await until(lambda: client.state is EngineState.LOST)
        await _works(client)
    return _REST


async def _three_deaths(folder: Path, draw: random.Random) -> str:
    async with _client(folder, "--tokens", "40") as client:
        await load(client)
        for _ in range(3):
            async with aclosing(client.generate(question(client))) as stream:
                await until_token(stream)
                assert client.hello
                os.kill(client.hello.pid, signal.SIGKILL)
                # The kill may meet a reply whose last token is sent already: it is whole then.
                last = (await collect(stream))[-1]
                assert isinstance(last, EngineLost) or last.finish_reason is FinishReason.LENGTH
            await until(lambda: client.state is EngineState.LOST)
        assert client.crash_looping
        if draw.random() < 0.5:
            assert isinstance(await load(client), ModelReady)
        await _works(client)
    return _REST


async def _stopped(wakes: bool, folder: Path, draw: random.Random) -> str:
    async with _client(folder, "--tokens", "-1") as client:
        await load(client)
        command = question(client)
        async with aclosing(client.generate(command)) as stream:
            for _ in range(draw.randrange(1, 5)):
                await until_token(stream)
            assert client.hello
            os.kill(client.hello.pid, signal.SIGSTOP)
            await until(lambda: client.stall)
            if wakes:
                os.kill(client.hello.pid, signal.SIGCONT)
                await until(lambda: client.stall is None)
                await until_token(stream)
            client.abort(command.request_id)
            last = (await collect(stream))[-1]
        if wakes:
            assert last.finish_reason is FinishReason.ABORT
            return ""
        assert last.wished
        assert not client.crash_looping
        async with aclosing(client.generate(question(client))) as stream:
            await until_token(stream)
    return ""


async def _stopped_in_a_load(folder: Path, draw: random.Random) -> str:
    slow = folder / "slow"
    slow.touch()
    async with _client(folder, "--slow-load", str(slow), "--tokens", "40") as client:
        async with aclosing(client.load(LoadModel("/models/slow.gguf"))) as stream:
            await anext(stream)
            assert client.hello
            os.kill(client.hello.pid, signal.SIGSTOP)
            await until(lambda: client.stall)
        slow.unlink()
        assert isinstance(await load(client), ModelReady)
        await _works(client)
    return ""


async def _floods(kind: str, folder: Path, draw: random.Random) -> str:
    place = draw.choice(("prefill", "token"))
    options = ("--fault", f"{place}:{kind}", "--once", str(folder / "once"), "--tokens", "40")
    async with _client(folder, *options) as client:
        await load(client)
        endless = draw.random() < 0.5
        plain = question(client)
        policy = "shift" if endless else "stop"
        command = Generate(plain.request_id, plain.messages, plain.sampling, 3, context_policy=policy)
        n_events = 0
        async with aclosing(client.generate(command)) as stream:
            async for event in stream:
                n_events += 1
                assert client._connection
                assert client._connection._backlog._n < 3 * MAX_UNREAD
                if endless and n_events == 50:
                    client.abort(command.request_id)
                last = event
        assert isinstance(last, EngineLost)
        await _works(client)
    return _REST


async def _slow_reader(folder: Path, draw: random.Random) -> str:
    async with _client(folder, "--tokens", "3000") as client:
        await load(client)
        ids: list[int] = []
        async with aclosing(client.generate(question(client))) as stream:
            async for event in stream:
                for _ in range(draw.randrange(50)):
                    await asyncio.sleep(0)
                ids += [token.id for token in event.tokens] if isinstance(event, TokensGenerated) else []
        assert ids == list(range(100, 3100))
    return ""


async def _other_version(folder: Path, draw: random.Random) -> str:
    async with _client(folder, "--protocol", str(draw.choice((0, 1, 2, 99)))) as client:
        lost = await load(client)
        assert lost.reason.endswith("reinstall tokscope")
    return ""


async def _no_cache(folder: Path, draw: random.Random) -> str:
    place = folder / "in the way"
    if draw.random() < 0.5:
        place.write_text("a file where a folder is wanted")
    else:
        place.symlink_to(folder / "nowhere" / "at all")
    client = WorkerClient(place / "engine.log", argv=fake_worker("--tokens", "40"), graces=_GRACES)
    try:
        ready = await load(client)
        assert "cannot be written" in ready.notices[0]
        await _works(client)
    finally:
        await client.close()
    return "the cache and the engine's log"


FAULTS = (
    Fault("worker dies in a load", partial(_dies, "load")),
    Fault("worker dies in a prefill", partial(_dies, "prefill")),
    Fault("worker dies in a reply (crash, garbage, a frame cut off)", partial(_dies, "token"), 40),
    Fault("worker dies while idle", partial(_dies, "ready")),
    Fault("worker killed from outside", _killed_from_outside, 40),
    Fault("worker killed three times in a row", _three_deaths, 10),
    Fault("worker stopped in a reply, wakes again", partial(_stopped, True), 10),
    Fault("worker stopped in a reply, then Esc", partial(_stopped, False), 10),
    Fault("worker stopped in a load, another model chosen", _stopped_in_a_load, 10),
    Fault("worker floods the app", partial(_floods, "flood"), 10),
    Fault("worker answers what nobody asked", partial(_floods, "strays"), 10),
    Fault("the app reads slowly", _slow_reader, 5),
    Fault("worker of another version", _other_version, 5),
    Fault("cache folder cannot be written", _no_cache, 5),
)
