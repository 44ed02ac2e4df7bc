"""One request and what is kept of it: the stream of events, the reply's row, its journal, its end.

Knows nothing of conversations; the branch that it is given grows by the reply.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from app.client.engine import Engine
from app.domain.conversation import ChatSettings, Message, ReplyState, Role
from app.domain.sampling import Preset
from app.domain.trace import ReplyTrace
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
from app.session.journal import Journal, TraceCollector
from app.session.message_log import MessageLog
from app.session.outcome import Closed, End, Losses, outcome
from app.session.reply_prefix import NOTHING, ReplyPrefix
from app.session.tree import prompt_messages

T = TypeVar("T")


async def complete(work: Coroutine[Any, Any, T]) -> T:
    """Awaits `work` to its end even when this task is cancelled meanwhile, and only then gives way."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


class TurnSettings(Struct, frozen=True, kw_only=True):
    """What the next turn of a session runs with; a session takes new ones at any time."""

    preset: Preset
    chat: ChatSettings | None = None
    """What the conversation keeps; None: the preset, and the model by its name."""
    model_name: str = ""
    """Empty stands for the title of the model that is loaded."""
    trace_top_k: int = 10
    trace_stages: bool = False
    speculate: bool | None = None
    """None: with a draft model, if one is loaded."""
    include_prompt: bool = False
    step_from_start: bool = False
    """Whether the reply pauses before its first token; not for several replies at once."""

    @property
    def kept(self) -> ChatSettings:
        """What a conversation that begins now is stored with."""
        return self.chat or ChatSettings(model=self.model_name, preset=self.preset)


class TurnOptions(Struct, frozen=True, kw_only=True):
    """What one turn runs with; later changes of the session do not touch it."""

    settings: TurnSettings
    n_steps: int | None = None
    """How many tokens come before the reply pauses; None: never."""
    shares_prefix: bool = False
    """Whether this is one of several replies at once, which share the cells of their prompt."""
    beginning: ReplyPrefix = NOTHING


class Turn:
    """One reply to the message at `branch[at]`, from the request to its row's last state."""

    def __init__(self, engine: Engine, log: MessageLog, options: TurnOptions, branch: list[Message], at: int) -> None:
        self.request_id = engine.next_request_id()
        self._engine = engine
        self._log = log
        self._options = options
        self.branch = branch
        self._at = at
        self._reply: Message | None = None
        self._started: GenerationStarted | None = None
        self._journal: Journal | None = None
        self._recorder = TraceCollector(options.settings.preset.sampling, options.beginning.tokens)
        self._thinking = options.beginning.thinking
        self._losses = Losses()

    @property
    def reply(self) -> Message | None:
        """The current reply in the branch; None until the request has started."""
        return self._reply

    @property
    def trace(self) -> ReplyTrace:
        """The trace of the reply so far."""
        return self._recorder.trace()

    async def run(self) -> AsyncGenerator[TurnEvent]:
        """Streams the reply. However this ends, the row is finished and the request is over."""
        stream = self._engine.generate(self._request())
        end: End | None = None
        try:
            async for event in stream:
                self._recorder.add(event)
                match event:
                    case GenerationStarted():
                        yield ReplyStarted(await complete(self._begin(event)))
                    case TokensGenerated():
                        self._thinking = event.thinking
                        if self._journal:
                            self._journal.add(event.text)
                    case ContextTrimmed() | ContextShifted():
                        self._losses.add(event)
                    case GenerationFinished() | EngineLost():
                        end = event
                    case _:
                        pass
                yield event
                if failure := self._log.take_failure():
                    yield failure
        except (GeneratorExit, asyncio.CancelledError):
            end = end or Closed()
            raise
        finally:
            await complete(self._end(end))
            await stream.aclose()
        if self._reply:
            yield ReplyFinished(self._reply)
        if failure := self._log.take_failure():
            yield failure

    def _request(self) -> Generate:
        options, parent = self._options, self.branch[self._at]
        return Generate(
            self.request_id,
            prompt_messages(options.settings.preset, self.branch[: self._at + 1]),
            options.settings.preset.sampling,
            options.settings.trace_top_k,
            shares_prefix=options.shares_prefix,
            trace_stages=options.settings.trace_stages,
            speculate=options.settings.speculate,
            context_policy=options.settings.preset.context,
            cacheable=self._log.saving,
            reply_ids=tuple(token.id for token in options.beginning.tokens),
            reply_text=options.beginning.text,
            n_steps=options.n_steps,
            include_prompt=options.settings.include_prompt,
            conversation=self._log.current_conversation(parent.conversation_id) if self._log.saving else 0,
        )

    async def _begin(self, started: GenerationStarted) -> Message:
        parent, beginning = self.branch[self._at], self._options.beginning
        # Typed text is in the row before the engine reports it as tokens.
        whole, streaming = beginning.kept + beginning.text, ReplyState.STREAMING
        row = await self._log.add(parent.conversation_id, parent.id, Role.ASSISTANT, whole, streaming)
        reply = replace(row, content=beginning.kept, thinking=beginning.thinking)
        self._started, self._reply = started, reply
        self.branch[self._at + 1 :] = [reply]

        async def write(text: str) -> None:
            if len(text) > len(whole):
                await self._log.journal(reply, text, self._thinking)

        self._journal = Journal(write, text=beginning.kept)
        return reply

    async def _end(self, end: End | None) -> None:
        if not self._reply or not self._started or not self._journal:
            return
        await self._journal.close()
        options = self._options
        state, record = outcome(
            end,
            started=self._started,
            n_generated=self._recorder.n_generated,
            losses=self._losses,
            model=options.settings.model_name,
            preset=options.settings.preset.name,
        )
        text = self._journal.text
        if state in (ReplyState.INTERRUPTED, ReplyState.FAILED):
            text = max(text, options.beginning.kept + options.beginning.text, key=len)
        sampling = options.settings.preset.sampling
        self._reply = await self._log.finish(self._reply, text, state, record, sampling, self._thinking)
        self.branch[self._at + 1] = self._reply
        await self._log.keep_trace(self._reply, self.trace)
