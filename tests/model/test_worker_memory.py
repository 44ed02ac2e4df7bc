"""The worker's memory over many turns of many conversations: what is over leaves nothing behind."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from app.client.worker_client import WorkerClient
from app.domain.conversation import Role
from app.domain.sampling import SamplingParams
from app.protocol.commands import ChatMessage, Generate, LoadModel
from app.protocol.events import ModelReady, TokensGenerated
from tests.fakes.smollm2 import smollm2_path
from tests.process.streams import load

pytestmark = [
    pytest.mark.model,
    pytest.mark.soak,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]
N_CONVERSATIONS, N_TURNS, N_WARM_UP = 24, 4, 4
MOST_BYTES = 24 << 20
"""One state of such a conversation has about 21 MiB; it may be in flight when it is looked."""


def resident(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmRSS:"))


@pytest.mark.timeout(3600)
async def test_a_long_chat_leaves_nothing_in_the_worker(tmp_path: Path) -> None:
    client = WorkerClient(tmp_path / "engine.log")
    try:
        assert isinstance(await load(client, LoadModel(str(smollm2_path()))), ModelReady)
        assert client.hello
        sizes: list[int] = []
        for conversation in range(1, N_CONVERSATIONS + 1):
            messages: list[ChatMessage] = []
            for turn in range(N_TURNS):
                messages.append(ChatMessage(Role.USER, f"{conversation}.{turn}: " + "tell me more about it " * 30))
                sampling = SamplingParams(max_tokens=60, seed=conversation)
                command = Generate(
                    client.next_request_id(),
                    tuple(messages),
                    sampling,
                    10,
                    conversation=conversation,
                    include_prompt=True,
                )
                text = ""
                async for event in client.generate(command):
                    text += event.text if isinstance(event, TokensGenerated) else ""
                messages.append(ChatMessage(Role.ASSISTANT, text))
            sizes.append(resident(client.hello.pid))
            print(f"conversation {conversation}: {sizes[-1] / 2**20:.0f} MiB")
        assert max(sizes[N_WARM_UP:]) - sizes[N_WARM_UP - 1] < MOST_BYTES
    finally:
        await client.close()
