"""Small steps that the tests of this folder share."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from app.client.engine import Engine
from app.domain.conversation import Role
from app.domain.sampling import SamplingParams
from app.protocol.commands import ChatMessage, Generate, LoadModel
from app.protocol.events import TokensGenerated

MODEL = LoadModel("/models/fake.gguf")


def question(engine: Engine, text: str = "Hi", **sampling) -> Generate:
    return Generate(engine.next_request_id(), (ChatMessage(Role.USER, text),), SamplingParams(**sampling), 3)


async def collect(stream: AsyncGenerator) -> list:
    return [event async for event in stream]


async def load(engine: Engine, command: LoadModel = MODEL):
    """Returns the last event of a load."""
    return (await collect(engine.load(command)))[-1]


async def ask(engine: Engine, **sampling):
    """Returns the events of one request."""
    return await collect(engine.generate(question(engine, **sampling)))


async def until_token(stream) -> None:
    """Reads up to the first event with a token."""
    while not (isinstance(event := await anext(stream), TokensGenerated) and event.tokens):
        pass


def n_tokens(events) -> int:
    return sum(len(event.tokens) for event in events if isinstance(event, TokensGenerated))


def alive(pid: int) -> bool:
    """Whether a process exists, an unreaped one included."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def running(pid: int) -> bool:
    """Whether an orphan still runs; one that only waits to be reaped by the system's first process does not."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return not Path("/proc/self").exists() and alive(pid)


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Polls a condition that no event announces, as in the death of somebody else's process."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - another process sets no event here
            await asyncio.sleep(0.005)
