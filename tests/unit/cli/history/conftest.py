"""A store with a conversation of two branches and one of code, as commands find it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from app.config.paths import data_dir, database_file, ensure_dir
from app.domain.conversation import ChatSettings, GenerationRecord, ReplyState, Role, UserMessage
from app.domain.generation import FinishReason, Stop, Timings, Usage
from app.domain.sampling import Preset, SamplingParams
from app.domain.trace import ReplyTrace, TokenTrace
from app.store.store import Store

HOSTILE = "\x1b]0;pwned\x07\u202e"
RECORD = GenerationRecord(
    model="tiny",
    preset="mine",
    seed=7,
    finish_reason=FinishReason.STOP,
    stop=Stop("eog", "<|im_end|>", 2),
    usage=Usage(12, 3, 5),
    timings=Timings(ttft_ms=1.5, decode_ms=20.0),
)
TRACE = ReplyTrace(
    tokens=(TokenTrace(id=5, text="sea", ms=1.0, p=0.5, logprob=-0.7, rank=1, entropy=float("nan")),), seed=7
)


def with_store(work: Callable[[Store], Awaitable[object]]) -> None:
    async def run() -> None:
        ensure_dir(data_dir())
        store = await Store.open(database_file())
        await work(store)
        await store.close()

    asyncio.run(run())


async def add_two(store: Store) -> None:
    """Conversation 1: two versions of a reply, the first one shown; 2: code and a hostile title."""
    settings = ChatSettings(model="/models/tiny.gguf", preset=Preset(name="mine", system="Be brief."))
    sea, asked = await store.start_conversation("The sea", UserMessage("How deep is the sea?"), settings=settings)
    first = await store.add_message(sea.id, asked.id, Role.ASSISTANT, "", ReplyState.STREAMING)
    await store.finish_reply(first.id, "Very deep.", ReplyState.DONE, RECORD, SamplingParams(temperature=0.3))
    await store.save_trace(first.id, TRACE)
    await store.add_message(sea.id, asked.id, Role.ASSISTANT, "Eleven kilometres.", ReplyState.STOPPED)
    await store.set_tip(sea.id, first.id)
    code, asked = await store.start_conversation(f"Code{HOSTILE}", UserMessage("Write two programs."))
    text = f"One:\n\n```python\nprint(1)\n```\n\nTwo:\n\n```\necho {HOSTILE}\n```\n"
    await store.add_message(code.id, asked.id, Role.ASSISTANT, text)


@pytest.fixture
def two() -> None:
    with_store(add_two)
