"""The next worker restores a conversation that one saved, through the real client; policies report what they drop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.client.connection import Graces
from app.client.worker_client import WorkerClient
from app.domain.conversation import Role
from app.domain.generation import FinishReason
from app.domain.model import LoadOptions
from app.domain.sampling import SamplingParams
from app.engine.kv import file as kvfile
from app.protocol.commands import ChatMessage, Generate, LoadModel
from app.protocol.events import (
    ContextShifted,
    ContextTrimmed,
    GenerationFinished,
    GenerationStarted,
    ModelReady,
    TokensGenerated,
)
from tests.process.streams import collect

pytestmark = pytest.mark.model

STORY = "Tell me again about the harbour, the snow and the boat that nobody saw. " * 25


async def loaded(folder: Path, smollm2: Path, n_ctx: int = 1024) -> WorkerClient:
    client = WorkerClient(folder / "engine.log", graces=Graces(abort_s=10.0, exit_s=10.0))
    await client.start()
    assert isinstance((await collect(client.load(LoadModel(str(smollm2), LoadOptions(n_ctx=n_ctx)))))[-1], ModelReady)
    return client


async def ask(client: WorkerClient, *texts: str, max_tokens: int = 4, **options: object) -> list[object]:
    roles = (Role.USER, Role.ASSISTANT)
    messages = tuple(ChatMessage(roles[i % 2], text) for i, text in enumerate(texts))
    sampling = SamplingParams(temperature=0.0, max_tokens=max_tokens)
    return await collect(client.generate(Generate(client.next_request_id(), messages, sampling, **options)))  # type: ignore[arg-type]


def started(events: list[object]) -> GenerationStarted:
    return next(event for event in events if isinstance(event, GenerationStarted))


def text(events: list[object]) -> str:
    return "".join(event.text for event in events if isinstance(event, TokensGenerated))


@pytest.mark.slow
async def test_another_worker_goes_on_where_one_has_ended(tmp_path: Path, smollm2: Path) -> None:
    first = await loaded(tmp_path, smollm2)
    reply = text(await ask(first, STORY))
    await first.close()
    (saved,) = (tmp_path / "kv").iterdir()

    second = await loaded(tmp_path, smollm2)
    again = await ask(second, STORY, reply, "And then?")
    begun = started(again)
    assert begun.n_restored == begun.n_cached > 256
    assert begun.notices == ()
    await second.close()
    (longer,) = (tmp_path / "kv").iterdir()
    assert longer != saved

    data = bytearray(longer.read_bytes())
    data[len(data) // 2] ^= 1
    longer.write_bytes(data)
    third = await loaded(tmp_path, smollm2)
    begun = started(await ask(third, STORY, reply, "And then?"))
    assert (begun.n_restored, begun.n_cached) == (0, 0)
    assert "is damaged" in begun.notices[0]
    await third.close()


async def test_nothing_of_a_conversation_that_is_not_kept_is_written(tmp_path: Path, smollm2: Path) -> None:
    client = await loaded(tmp_path, smollm2)
    await ask(client, STORY, cacheable=False)
    await client.close()
    assert not (tmp_path / "kv").exists()


async def test_policies_through_the_worker(tmp_path: Path, smollm2: Path) -> None:
    client = await loaded(tmp_path, smollm2, n_ctx=256)
    turns = [word for i in range(16) for word in (f"This is message number {i}, is it not?", f"It is number {i}.")]
    refused = await ask(client, *turns, "Last?")
    assert [type(event) for event in refused] == [GenerationFinished]
    assert refused[0].finish_reason is FinishReason.CONTEXT  # type: ignore[attr-defined]

    dropped = await ask(client, *turns, "Last?", context_policy="drop-oldest-turns")
    assert isinstance(dropped[0], ContextTrimmed)
    assert dropped[0].n_messages % 2 == 0
    assert started(dropped).n_prompt + dropped[0].n_tokens > 256

    shifted = await ask(client, *turns, "Count to a thousand.", max_tokens=300, context_policy="shift")
    assert isinstance(shifted[0], ContextTrimmed)
    end = shifted[-1]
    assert isinstance(end, GenerationFinished)
    if end.usage.n_prompt + end.usage.n_generated > 256:
        assert any(isinstance(event, ContextShifted) for event in shifted)
    await client.close()


async def test_a_forgotten_conversation_leaves_nothing_behind(tmp_path: Path, smollm2: Path) -> None:
    story, folder = STORY[: len(STORY) * 4 // 5], tmp_path / "kv"
    first = await loaded(tmp_path, smollm2)
    await ask(first, story, conversation=7)
    await first.close()
    (saved,) = folder.iterdir()
    assert kvfile.conversation_of(saved) == 7
    other = folder / "of-another-model.kv"
    kvfile.write(other, bytes(32), np.arange(9, dtype=np.int32), np.zeros(9, np.uint8), lambda: False, 8)

    # It lies on the disk, and again in the cache of the worker, which must not save it once more when it ends.
    second = await loaded(tmp_path, smollm2)
    assert started(await ask(second, story, "Snow.", "And?", conversation=7)).n_restored > 256
    second.forget([7])
    await second.close()
    assert list(folder.iterdir()) == [other]

    # A worker without a model deletes too, and what was asked before it ran is done when it runs.
    third = WorkerClient(tmp_path / "engine.log", graces=Graces(abort_s=10.0, exit_s=10.0))
    third.forget([8])
    assert other.exists()
    await third.start()
    await third.close()
    assert list(folder.iterdir()) == []
