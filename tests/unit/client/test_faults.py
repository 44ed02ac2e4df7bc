"""The worker dies, lies or hangs at every point of its life; the client says so in words and goes on."""

import asyncio
import itertools
import os
import random
import signal
from contextlib import aclosing

import pytest

from app.client.connection import Graces
from app.client.engine import EngineState
from app.client.liveness import WINDOW_S, CrashLog
from app.client.worker_client import WorkerClient
from app.domain.generation import FinishReason
from app.protocol.commands import LoadModel
from app.protocol.events import (
    PROTOCOL_VERSION,
    EngineLost,
    GenerationStarted,
    ModelReady,
    PrefillProgress,
    TokensGenerated,
)
from tests.fakes.fake_worker import NOISE, fake_worker
from tests.process.streams import MODEL, alive, ask, collect, load, n_tokens, question, until, until_token

DEATHS = [
    ("SIGKILL", -9, "killed by SIGKILL"),
    ("SIGABRT", -6, "killed by SIGABRT"),
    ("SIGSEGV", -11, "killed by SIGSEGV"),
    ("SIGBUS", -7, "killed by SIGBUS"),
    ("exit1", 1, "exited with code 1"),
    ("exit0", 0, "exited with code 0"),
]


@pytest.mark.parametrize(("kind", "code", "reason"), DEATHS)
async def test_every_death_is_reported_in_words_with_the_log(start_client, kind, code, reason):
    client = start_client("--fault", f"token:{kind}", "--after", "2")
    await load(client)
    lost = (await ask(client))[-1]
    assert lost == EngineLost(code, reason, f"fault: {kind}")


@pytest.mark.parametrize("after", [0, 1, 7, 40])
@pytest.mark.parametrize("kind", ["SIGKILL", "SIGABRT", "exit1"])
async def test_what_came_before_the_death_is_kept_and_the_next_request_works(start_client, tmp_path, kind, after):
    client = start_client(
        "--fault", f"token:{kind}", "--after", str(after), "--tokens", "50", "--once", str(tmp_path / "once")
    )
    await load(client)
    first = client.hello.pid
    events = await ask(client)
    assert isinstance(events[-1], EngineLost)
    assert n_tokens(events) == after
    assert (client.state, client.model) == (EngineState.LOST, None)
    events = await ask(client)
    assert [type(event) for event in events[:2]] == [GenerationStarted, PrefillProgress]
    assert n_tokens(events) == 50
    assert events[-1].finish_reason is FinishReason.LENGTH
    assert (client.state, client.model.path) == (EngineState.READY, MODEL.path)
    assert client.hello.pid != first
    assert not alive(first)


@pytest.mark.parametrize("kind", ["SIGKILL", "exit1", "eof", "garbage"])
async def test_death_in_a_load_is_the_load_s_last_event(start_client, tmp_path, kind):
    client = start_client("--fault", f"load:{kind}", "--once", str(tmp_path / "once"))
    assert isinstance(await load(client), EngineLost)
    assert client.state is EngineState.LOST
    # What crashed the engine is not loaded again behind the user's back.
    assert (await ask(client))[-1].error == "no model is loaded"
    assert isinstance(await load(client), ModelReady)


async def test_death_of_an_idle_engine_is_seen_and_the_next_request_revives_it(start_client):
    client = start_client()
    await load(client)
    os.kill(client.hello.pid, signal.SIGKILL)
    await until(lambda: client.state is EngineState.LOST)
    assert (await ask(client))[-1].finish_reason is FinishReason.LENGTH


async def test_every_open_request_learns_of_the_loss(start_client):
    client = start_client("--fault", "token:SIGABRT", "--after", "3")
    await load(client)
    streams = await asyncio.gather(*(ask(client) for _ in range(3)))
    assert {events[-1] for events in streams} == {EngineLost(-6, "killed by SIGABRT", "fault: SIGABRT")}


async def test_requests_after_a_loss_share_one_new_worker(start_client, tmp_path):
    client = start_client("--fault", "ready:SIGKILL", "--once", str(tmp_path / "once"))
    await load(client)
    await until(lambda: client.state is EngineState.LOST)
    streams = await asyncio.gather(*(ask(client) for _ in range(4)))
    assert [n_tokens(events) for events in streams] == [5, 5, 5, 5]
    assert client.state is EngineState.READY


async def test_a_load_behind_one_that_cannot_be_cancelled_gets_a_worker_of_its_own(start_client, tmp_path):
    slow = tmp_path / "slow"
    slow.touch()
    client = start_client("--slow-load", str(slow), "--deaf", graces=Graces(cancel_load_s=0.05))
    async with aclosing(client.load(MODEL)) as stream:
        await anext(stream)
    slow.unlink()
    assert (await load(client, LoadModel("/models/other.gguf"))).path == "/models/other.gguf"


async def test_a_load_right_after_a_restart_goes_to_the_new_worker(start_client):
    client = start_client()
    await load(client)
    first = client.hello.pid
    client.restart()
    assert isinstance(await load(client), ModelReady)
    assert client.hello.pid != first
    assert not alive(first)


async def test_a_frame_cut_by_the_death_is_dropped(start_client, tmp_path):
    client = start_client("--fault", "token:truncated", "--after", "2", "--once", str(tmp_path / "once"))
    await load(client)
    events = await ask(client)
    assert (n_tokens(events), events[-1].reason) == (2, "exited with code 1")
    assert (await ask(client))[-1].finish_reason is FinishReason.LENGTH


@pytest.mark.parametrize("kind", ["garbage", "oversize"])
async def test_garbage_gives_the_worker_up(start_client, tmp_path, kind):
    client = start_client("--fault", f"token:{kind}", "--after", "1", "--once", str(tmp_path / "once"))
    await load(client)
    pid = client.hello.pid
    lost = (await ask(client))[-1]
    assert isinstance(lost, EngineLost)
    assert lost.reason.startswith("broke the protocol: ")
    assert not alive(pid)
    assert (await ask(client))[-1].finish_reason is FinishReason.LENGTH


@pytest.mark.parametrize("kind", ["garbage", "oversize"])
async def test_what_came_whole_before_the_garbage_is_kept(start_client, kind):
    # Ready and garbage, and tokens and garbage, may come in one piece.
    client = start_client("--fault", f"token:{kind}", "--after", "30", "--tokens", "50")
    await load(client)
    assert n_tokens(await ask(client)) == 30


async def test_a_worker_that_closes_its_pipe_but_lives_on_is_ended(start_client):
    client = start_client("--fault", "token:eof")
    await load(client)
    pid = client.hello.pid
    assert (await ask(client))[-1] == EngineLost(-9, "killed by SIGKILL", "fault: eof")
    assert not alive(pid)


@pytest.mark.parametrize(("kind", "reason"), [("exit1", "exited with code 1"), ("SIGKILL", "killed by SIGKILL")])
async def test_death_before_hello(start_client, kind, reason):
    client = start_client("--fault", f"start:{kind}")
    assert await client.start() == EngineLost(client._connection.lost.exit_code, reason, f"fault: {kind}")
    assert [type(event) for event in await collect(client.load(MODEL))] == [EngineLost]


async def test_a_worker_that_never_says_hello_is_ended(start_client):
    client = start_client("--fault", "start:hang", graces=Graces(hello_s=0.3))
    lost = await load(client)
    assert (lost.exit_code, lost.reason) == (-9, "did not start within 0.3 s")


async def test_another_protocol_is_refused(start_client):
    client = start_client("--protocol", "99")
    lost = await load(client)
    assert lost.reason == f"speaks protocol 99, this app {PROTOCOL_VERSION}: reinstall tokscope"


async def test_garbage_before_hello(start_client):
    client = start_client("--fault", "start:garbage")
    assert (await client.start()).reason.startswith("broke the protocol: ")


async def test_a_program_that_is_not_there(tmp_path):
    client = WorkerClient(tmp_path / "log", argv=[str(tmp_path / "nothing")])
    lost = await load(client)
    assert lost.reason.startswith("could not be started: ")
    assert client.state is EngineState.LOST
    await client.close()


async def test_a_cache_that_cannot_be_written_is_reported_once_and_stops_nothing(tmp_path):
    (tmp_path / "file").write_text("in the way")
    log = tmp_path / "file" / "engine.log"
    client = WorkerClient(log, argv=fake_worker())
    ready = await load(client)
    assert isinstance(ready, ModelReady)
    assert ready.notices == (
        f"{log} cannot be written (File exists): no cache and no engine log; "
        "set TOKSCOPE_CACHE_DIR to a writable folder",
    )
    assert (await load(client)).notices == ()
    await client.close()


@pytest.mark.parametrize("closes", [True, False])
async def test_a_worker_deaf_to_abort_is_killed(start_client, closes):
    client = start_client("--tokens", "-1", "--deaf", graces=Graces(abort_s=0.05))
    await load(client)
    command, pid = question(client), client.hello.pid
    async with aclosing(client.generate(command)) as stream:
        await until_token(stream)
        if not closes:
            client.abort(command.request_id)
            last = (await collect(stream))[-1]
            assert last == EngineLost(-9, "did not stop within 0.05 s", "", wished=True)
    await until(lambda: client.state is EngineState.LOST)
    assert not alive(pid)


async def test_a_load_deaf_to_cancel_is_killed(start_client, tmp_path):
    client = start_client("--slow-load", str(tmp_path), "--deaf", graces=Graces(cancel_load_s=0.05))
    async with aclosing(client.load(MODEL)) as stream:
        await anext(stream)
    await until(lambda: client.state is EngineState.LOST)
    assert client._connection.lost.reason == "did not cancel a load within 0.05 s"


async def test_an_abort_answered_in_time_leaves_the_worker_alone(start_client):
    client = start_client("--tokens", "-1", graces=Graces(abort_s=5.0))
    await load(client)
    for _ in range(3):
        async with aclosing(client.generate(question(client))) as stream:
            await until_token(stream)
    await until(lambda: not client._connection._requests)
    assert client.state is EngineState.READY


async def test_a_failed_reload_is_the_request_s_error(start_client, tmp_path):
    broken = tmp_path / "broken"
    client = start_client("--fail-load", str(broken))
    await load(client)
    os.kill(client.hello.pid, signal.SIGKILL)
    await until(lambda: client.state is EngineState.LOST)
    broken.touch()
    (finished,) = await ask(client)
    assert (finished.finish_reason, finished.error, finished.hint) == (
        FinishReason.ERROR,
        "the file is gone",
        "download it again",
    )
    broken.unlink()
    assert (await ask(client))[-1].finish_reason is FinishReason.LENGTH


async def test_a_reload_can_be_given_up_for_another_model(start_client, tmp_path):
    slow = tmp_path / "slow"
    client = start_client("--slow-load", str(slow))
    await load(client)
    slow.touch()
    os.kill(client.hello.pid, signal.SIGKILL)
    await until(lambda: client.state is EngineState.LOST)
    waiting = asyncio.create_task(ask(client))
    await until(lambda: client.state is EngineState.LOADING)
    slow.unlink()
    assert (await load(client, LoadModel("/models/other.gguf"))).path == "/models/other.gguf"
    assert (await waiting)[-1].finish_reason is FinishReason.LENGTH


async def test_killed_from_outside_at_any_event(start_client):
    hours = itertools.count(0.0, 3600.0)
    client = start_client("--tokens", "60", crashes=CrashLog(lambda: next(hours)))
    await load(client)
    for place in random.Random(7).sample(range(60), 12):
        events, killed = [], False
        async for event in client.generate(question(client)):
            events.append(event)
            if n_tokens(events) >= place and not killed:
                os.kill(client.hello.pid, signal.SIGKILL)
                killed = True
        # Whatever came, came whole and in order; merging decides how many events that were.
        ids = [token.id for event in events if isinstance(event, TokensGenerated) for token in event.tokens]
        assert ids == list(range(100, 100 + len(ids)))
        assert len(ids) >= place
        await until(lambda: client.state is EngineState.LOST)
        assert n_tokens(await ask(client)) == 60


async def test_three_crashes_are_a_loop_and_a_person_can_still_try_again(start_client):
    now = 1000.0
    client = start_client("--fault", "prefill:SIGABRT", crashes=CrashLog(lambda: now))
    await load(client)
    for looping in (False, False, True, True):
        assert (await ask(client))[-1].reason == "killed by SIGABRT"
        assert client.crash_looping is looping
    assert isinstance(await load(client), ModelReady)
    assert not client.crash_looping
    for _ in range(3):
        await ask(client)
    now += WINDOW_S
    assert not client.crash_looping


@pytest.mark.parametrize("wish", ["abort", "leave", "restart"])
async def test_what_a_person_ends_is_no_crash(start_client, wish):
    client = start_client("--tokens", "-1", "--deaf", graces=Graces(abort_s=0.05))
    await load(client)
    for _ in range(3):
        command = question(client)
        async with aclosing(client.generate(command)) as stream:
            await until_token(stream)
            if wish == "abort":
                client.abort(command.request_id)
            elif wish == "restart":
                client.restart()
            if wish != "leave":
                assert (await collect(stream))[-1].wished
        await until(lambda: client.state is EngineState.LOST)
    assert not client.crash_looping


async def test_noise_on_the_worker_s_stderr_goes_to_the_log_only(start_client, tmp_path, capfd):
    client = start_client("--noise", "--tokens", "20")
    await load(client)
    assert n_tokens(await ask(client)) == 20
    await client.close()
    assert capfd.readouterr() == ("", "")
    assert NOISE in (tmp_path / "engine.log").read_text()
