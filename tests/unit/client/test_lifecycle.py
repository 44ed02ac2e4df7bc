"""No worker outlives its app, none carries its secrets, none hears its Ctrl-C."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from app.client import process
from app.client.connection import Graces
from app.client.engine import EngineState
from app.client.process import spawn
from app.client.worker_client import WorkerClient
from app.protocol.events import EngineLost
from tests.fakes.fake_worker import fake_worker
from tests.process.streams import MODEL, alive, ask, load, question, running, until, until_token

APP = """
import asyncio, pathlib, sys
from app.client.worker_client import WorkerClient
from tests.fakes.fake_worker import fake_worker
async def main():
    client = WorkerClient(pathlib.Path(sys.argv[1]), argv=fake_worker())
    print((await client.start()).pid, flush=True)
    {then}
asyncio.run(main())
"""


def run_app(log: Path, then: str) -> subprocess.Popen[str]:
    root = Path(process.__file__).parents[2]
    argv = [sys.executable, "-c", APP.format(then=then), str(log)]
    return subprocess.Popen(argv, cwd=root, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("options", [(), ("--tokens", "-1")])
async def test_close_leaves_no_process(start_client, options):
    client = start_client(*options)
    await load(client)
    pid = client.hello.pid
    await client.close()
    assert not alive(pid)
    assert client._connection.lost == EngineLost(0, "closed", "")


async def test_close_ends_open_streams_and_refuses_new_ones(start_client):
    client = start_client("--tokens", "-1")
    await load(client)
    async with aclosing(client.generate(question(client))) as stream:
        await until_token(stream)
        await client.close()
        async for event in stream:
            last = event
    assert last.reason == "closed"
    assert [type(event) for event in await ask(client)] == [EngineLost]
    assert isinstance(await load(client), EngineLost)


async def test_a_stubborn_worker_is_closed_by_force(start_client):
    client = start_client("--stubborn", graces=Graces(exit_s=0.05))
    await load(client)
    pid = client.hello.pid
    await client.close()
    assert client._connection.lost.exit_code in (-9, None)
    await until(lambda: not alive(pid))


async def test_close_before_anything_was_asked(tmp_path):
    worker = spawn(tmp_path / "log", fake_worker())
    client = WorkerClient(tmp_path / "log", process=worker)
    await client.close()
    assert not alive(worker.pid)
    assert client.state is EngineState.LOST


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_a_killed_app_takes_its_worker_along(tmp_path, how):
    with run_app(tmp_path / "log", "await asyncio.Event().wait()") as app:
        pid = int(await asyncio.to_thread(app.stdout.readline))
        assert running(pid)
        app.send_signal(how)
        await until(lambda: not running(pid))


async def test_an_app_that_forgets_to_close_ends_by_itself_and_its_worker_too(tmp_path):
    with run_app(tmp_path / "log", "return") as app:
        pid = int(await asyncio.to_thread(app.stdout.readline))
        assert await asyncio.to_thread(app.wait, 10) == 0
        await until(lambda: not running(pid))


async def test_the_worker_is_in_a_session_of_its_own(start_client):
    client = start_client()
    hello = await client.start()
    assert os.getsid(hello.pid) == hello.pid != os.getsid(0)


async def test_secrets_do_not_reach_the_worker(start_client, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    monkeypatch.setenv("GGML_CANARY", "kept")
    client = start_client("--report")
    names = (await client.start()).build.splitlines()
    assert "GGML_CANARY" in names
    assert "OPENAI_API_KEY" not in names


async def test_an_app_package_in_the_current_folder_is_not_run(start_client, tmp_path, monkeypatch):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").write_text("raise SystemExit(77)")
    monkeypatch.chdir(tmp_path)
    client = start_client()
    assert not isinstance(await load(client), EngineLost)


async def test_it_starts_where_stderr_has_no_descriptor(start_client, monkeypatch):
    class Captured:  # what Textual puts in place of sys.stderr
        def fileno(self):
            return -1

    monkeypatch.setattr(sys, "stderr", Captured())
    client = start_client()
    assert (await load(client)).path == MODEL.path


async def test_the_log_is_private(start_client, tmp_path):
    client = start_client()
    await client.start()
    assert (tmp_path / "engine.log").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a priority belongs to the process, not to the thread")
def test_a_worker_started_later_does_not_inherit_the_lowered_priority_of_the_app(tmp_path):
    then = """import os
    os.setpriority(os.PRIO_PROCESS, 0, 5)
    os.kill(client.hello.pid, 9)
    while client.state.value != "lost":
        await asyncio.sleep(0)
    print(os.getpriority(os.PRIO_PROCESS, (await client.start()).pid), flush=True)
    await client.close()"""
    app = run_app(tmp_path / "log", then)
    lines = app.communicate(timeout=30)[0].split()
    assert lines[1] == "0"
