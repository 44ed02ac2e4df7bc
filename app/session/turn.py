"""One request and what is kept of it: the stream of events, the reply's row, its journal, its end.

Knows nothing of conversations; the branch that it is given grows by the reply.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Coroutine
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from app.client.engine import Engine
from app.domain.conversation import Message, ReplyState, Role
from app.domain.preset import Preset
from app.domain.sampling import N_SEEDS
from app.protocol.commands import Generate
from app.protocol.events import (
    ContextShifted,
    ContextTrimmed,
    EngineLost,
    GenerationFinished,
    GenerationStarted,
    TokensGenerated,
)
from app.session.events import ReplyFinished, ReplyStarted, TurnEvent
from app.session.journal import Journal
from app.session.keeper import Keeper
from app.session.outcome import Closed, End, Losses, outcome
from app.session.prompt import prompt_messages

T = TypeVar("T")


async def complete(work: Coroutine[Any, Any, T]) -> T:
    """Awaits `work` to its end even when this task is cancelled meanwhile, and only then gives way."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


class TurnOptions(Struct, frozen=True, kw_only=True):
    """What a turn is run with; later changes of the session do not touch it."""

    preset: Preset
    model_name: str
    trace_top_k: int
    trace_stages: bool = False
    speculate: bool = False
    branch: bool = False
    """Whether this is one of several replies at once, which share the cells of their prompt."""


def continuations(options: TurnOptions, n: int) -> list[TurnOptions]:
    """Options of `n` replies to one message: branches of one prompt, whose seeds follow each other."""
    sampling = options.preset.sampling
    first = secrets.randbelow(N_SEEDS) if sampling.seed is None else sampling.seed

    def seeded(index: int) -> TurnOptions:
        preset = replace(options.preset, sampling=replace(sampling, seed=(first + index) % N_SEEDS))
        return replace(options, preset=preset, branch=True)

    return [seeded(index) for index in range(n)]


class Turn:
    """One reply to the message at `branch[at]`, from the request to its row's last state."""

    def __init__(self, engine: Engine, keeper: Keeper, options: TurnOptions, branch: list[Message], at: int) -> None:
        self.request_id = engine.next_request_id()
        self._engine = engine
        self._keeper = keeper
        self._options = options
        self.branch = branch
        self._at = at
        self._reply: Message | None = None
        self._started: GenerationStarted | None = None
        self._journal: Journal | None = None
        self._n_generated = 0
        self._losses = Losses()

    @property
    def has_reply(self) -> bool:
        """Whether the request has started, and so left a reply in the branch."""
        return self._reply is not None

    async def run(self) -> AsyncGenerator[TurnEvent]:
        """Streams the reply. However this ends, the row is finished and the request is over."""
        stream = self._engine.generate(self._request())
        end: End | None = None
        try:
            async for event in stream:
                match event:
                    case GenerationStarted():
                        yield ReplyStarted(await complete(self._begin(event)))
                    case TokensGenerated():
                        self._n_generated += len(event.tokens)
                        if self._journal:
                            self._journal.add(event.text)
                    case ContextTrimmed() | ContextShifted():
                        self._losses.add(event)
                    case GenerationFinished() | EngineLost():
                        end = event
                    case _:
                        pass
                yield event
                if failure := self._keeper.take_failure():
                    yield failure
        except (GeneratorExit, asyncio.CancelledError):
            end = end or Closed()
            raise
        finally:
            await complete(self._end(end))
            await stream.aclose()
        if self._reply:
            yield ReplyFinished(self._reply)
        if failure := self._keeper.take_failure():
            yield failure

    def _request(self) -> Generate:
        options = self._options
        return Generate(
            self.request_id,
            prompt_messages(options.preset, self.branch[: self._at + 1]),
            options.preset.sampling,
            options.trace_top_k,
            branch=options.branch,
            trace_stages=options.trace_stages,
            speculate=options.speculate,
            context_policy=options.preset.context,
            cacheable=self._keeper.saving,
        )

    async def _begin(self, started: GenerationStarted) -> Message:
        parent = self.branch[self._at]
        reply = await self._keeper.add(parent.conversation_id, parent.id, Role.ASSISTANT, "", ReplyState.STREAMING)
        self._started, self._reply = started, reply
        self.branch[self._at + 1 :] = [reply]
        self._journal = Journal(lambda text: self._keeper.journal(reply, text))
        return reply

    async def _end(self, end: End | None) -> None:
        if not self._reply or not self._started or not self._journal:
            return
        await self._journal.close()
        options = self._options
        state, record = outcome(
            end,
            started=self._started,
            n_generated=self._n_generated,
            losses=self._losses,
            model=options.model_name,
            preset=options.preset.name,
        )
        text = self._journal.text
        self._reply = await self._keeper.finish(self._reply, text, state, record, options.preset.sampling)
        self.branch[self._at + 1] = self._reply
