"""The remote engine against `llama_cpp.server` of the pinned package; `pytest -m slow`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.domain.conversation import Role
from app.domain.generation import FinishReason
from app.domain.model import LoadOptions
from app.domain.remote import RemoteModel
from app.domain.sampling import SamplingParams
from app.protocol.commands import ChatMessage, Generate, LoadModel
from app.protocol.events import TokensGenerated
from app.remote.backend import RemoteEngine
from tests.fakes.smollm2 import smollm2_path

pytestmark = [pytest.mark.slow, pytest.mark.model, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    model = ["--model", str(smollm2_path()), "--model_alias", "smol", "--n_ctx", "512", "--n_threads", "1"]
    command = [sys.executable, "-m", "llama_cpp.server", *model, "--port", str(port)]
    log = tmp_path_factory.mktemp("server") / "log"
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ, cwd=Path("/"))
    try:
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            assert process.poll() is None, log.read_text()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


async def test_a_reply_has_candidates_and_no_number_that_the_server_does_not_give(url: str) -> None:
    engine = RemoteEngine()
    options = LoadOptions(remote=RemoteModel(url=url))
    async for _ in engine.load(LoadModel("", options)):
        pass
    assert engine.model is not None
    assert (engine.model.title, engine.model.n_ctx) == ("smol", 0)
    assert engine.model.server[0].startswith("llama-cpp-python at ")
    params = SamplingParams(seed=1, max_tokens=8, temperature=0.0)
    command = Generate(engine.next_request_id(), (ChatMessage(Role.USER, "Say hi."),), params, trace_top_k=4)
    events: list[Any] = [event async for event in engine.generate(command)]
    texts = [event for event in events if isinstance(event, TokensGenerated)]
    tokens = [token for event in texts for token in event.tokens]
    assert "".join(event.text for event in texts)
    assert len(tokens) == 8
    assert {len(token.top) for token in tokens} == {4}
    assert all(token.rank == 1 for token in tokens), "greedy"
    end = events[-1]
    assert (end.finish_reason, end.usage.n_prompt, end.usage.n_generated) == (FinishReason.LENGTH, 0, 8)
    assert (end.timings.prefill_ms, end.timings.app_clock) == (0.0, ("ttft_ms", "decode_ms", "decode_tps"))
    await engine.close()
