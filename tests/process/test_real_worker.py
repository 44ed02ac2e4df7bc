"""The real worker with the real SmolLM2, through the real client: what no fake can promise."""

import asyncio
import os
import signal
import time
from contextlib import aclosing
from pathlib import Path

import pytest

from app.client.engine import EngineState
from app.client.process import spawn, worker_argv
from app.client.worker_client import WorkerClient
from app.domain.generation import FinishReason
from app.domain.model import LoadOptions
from app.protocol.commands import LoadModel
from app.protocol.events import (
    EngineLost,
    GenerationStarted,
    LoadFailed,
    LoadProgress,
    ModelReady,
    PrefillProgress,
    TokensGenerated,
)
from tests.fakes.smollm2 import smollm2_path
from tests.process.streams import alive, ask, collect, load, n_tokens, question, running, until, until_token

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def smollm2() -> LoadModel:
    return LoadModel(str(smollm2_path()), LoadOptions(n_ctx=2048))


def session_of(leader: int) -> list[int]:
    """Every running process of a worker's session: itself and what it started. Empty where there is no /proc."""
    pids = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
    return [pid for pid in pids if running(pid) and _session(pid) == leader]


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


async def test_hello_load_and_a_reply(client, smollm2, tmp_path, capfd):
    hello = await client.start()
    assert hello.pid == client.hello.pid
    assert hello.build.startswith("llama-cpp-python 0.3.36")
    assert any(device.kind == "CPU" for device in hello.devices)
    assert client.state is EngineState.NO_MODEL

    events = await collect(client.load(smollm2))
    ready = events[-1]
    assert all(isinstance(event, LoadProgress) for event in events[:-1])
    fractions = [event.fraction for event in events[:-1]]
    assert fractions == sorted(fractions)
    assert isinstance(ready, ModelReady)
    assert (ready.native.n_vocab, ready.n_ctx, ready.native.quant) == (49152, 2048, "Q4_1")

    events = await ask(client, temperature=0.0, max_tokens=12)
    assert isinstance(events[0], GenerationStarted)
    assert any(isinstance(event, PrefillProgress) for event in events)
    finished = events[-1]
    assert finished.finish_reason in (FinishReason.STOP, FinishReason.LENGTH)
    assert n_tokens(events) == finished.usage.n_generated
    assert all(len(token.top) == 3 for event in events if isinstance(event, TokensGenerated) for token in event.tokens)

    await client.close()
    assert not alive(hello.pid)
    assert capfd.readouterr() == ("", "")
    assert (tmp_path / "engine.log").exists()


async def test_abort_ends_a_long_reply_and_the_next_one_works(client, smollm2):
    await load(client, smollm2)
    command = question(client, "Tell me a very long story.", temperature=0.0, max_tokens=1000)
    events = []
    async for event in client.generate(command):
        events.append(event)
        if n_tokens(events) >= 3:
            client.abort(command.request_id)
    assert events[-1].finish_reason is FinishReason.ABORT
    assert 3 <= n_tokens(events) == events[-1].usage.n_generated < 1000
    async with aclosing(client.generate(question(client, "And another.", max_tokens=1000))) as stream:
        await until_token(stream)
    finished = (await ask(client, max_tokens=4))[-1]
    assert finished.finish_reason in (FinishReason.STOP, FinishReason.LENGTH)
    assert client.state is EngineState.READY


@pytest.mark.parametrize(
    ("how", "reason"), [(signal.SIGKILL, "killed by SIGKILL"), (signal.SIGABRT, "killed by SIGABRT")]
)
async def test_death_mid_stream_then_the_next_request_works(client, smollm2, how, reason):
    await load(client, smollm2)
    pid = client.hello.pid
    events = []
    async for event in client.generate(question(client, "Count to a hundred.", max_tokens=500)):
        events.append(event)
        if n_tokens(events) and alive(pid):
            os.kill(pid, how)
    assert (events[-1].exit_code, events[-1].reason) == (-how, reason)
    assert n_tokens(events)
    await until(lambda: not session_of(pid))

    events = await ask(client, max_tokens=4)
    assert events[-1].finish_reason in (FinishReason.STOP, FinishReason.LENGTH)
    assert client.hello.pid != pid
    assert client.model.path == smollm2.path


async def test_a_file_that_is_no_model_fails_and_the_worker_lives(client, smollm2, tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(200))
    failed = await load(client, LoadModel(str(broken)))
    assert isinstance(failed, LoadFailed)
    assert failed.reason
    assert client.state is EngineState.NO_MODEL
    assert isinstance(await load(client, smollm2), ModelReady)


async def test_a_load_left_early_is_cancelled(client, smollm2):
    async with aclosing(client.load(smollm2)) as stream:
        assert isinstance(await anext(stream), LoadProgress)
    assert isinstance(await load(client, smollm2), ModelReady)


@pytest.mark.parametrize("busy", [False, True])
async def test_the_end_of_stdin_ends_it_within_a_second(client, smollm2, busy):
    await load(client, smollm2)
    pid = client.hello.pid
    stream = client.generate(question(client, "Tell me a very long story.", max_tokens=1000))
    if busy:
        await until_token(stream)
    closed = time.monotonic()
    client._connection._process.close_input()
    await until(lambda: client.state is EngineState.LOST)
    assert time.monotonic() - closed < 1.5  # it forces itself at 1 s; the rest is a loaded machine's
    assert client._connection.lost.exit_code == 0
    await until(lambda: not session_of(pid))
    await stream.aclose()


async def test_ctrl_c_does_not_end_it(client, smollm2):
    await load(client, smollm2)
    os.kill(client.hello.pid, signal.SIGINT)
    assert not isinstance((await ask(client, max_tokens=2))[-1], EngineLost)


async def test_it_is_started_before_the_loop_and_from_any_folder(tmp_path, monkeypatch, smollm2):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").write_text("raise SystemExit(77)")
    monkeypatch.chdir(tmp_path)
    early = await asyncio.to_thread(spawn, tmp_path / "engine.log", worker_argv(tmp_path / "engine.log"))
    client = WorkerClient(tmp_path / "engine.log", process=early)
    try:
        assert isinstance(await load(client, smollm2), ModelReady)
        assert client.hello.pid == early.pid
    finally:
        await client.close()
