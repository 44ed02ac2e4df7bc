"""The instrument: runs requests and raw measurements on an engine, and takes times where the app stands.

Every figure is taken on this side of the pipe, by this process's clock, unless it says otherwise.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import msgspec

from app.cli.common.engine import load_or_raise
from app.client.engine import Benchable, Engine, Queryable, require
from app.domain.conversation import Role
from app.domain.errors import EngineLostError, GenerationError, UsageError
from app.domain.generation import DraftCounts, FinishReason, Usage
from app.domain.sampling import SamplingParams
from app.protocol.commands import Bench, ChatMessage, Generate, LoadModel, Tokenize
from app.protocol.events import (
    BenchFinished,
    BenchMeasured,
    EngineLost,
    GenerationFinished,
    GenerationStarted,
    ModelReady,
    NativeFacts,
    TokensGenerated,
)

Prompt = Sequence[ChatMessage] | str
"""A conversation, or plain text to continue without a template."""

TRACE_TOP_K = 10
_WORDS = ("time", "house", "water", "light", "stone", "river", "night", "paper", "green", "table", "music", "bread")
_CALIBRATION_WORDS = 200


@dataclass
class Run:
    """One request as the app saw it; times in seconds since it was sent."""

    arrivals: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    """When tokens came, and how many."""
    finished_s: float = 0.0
    finish_reason: FinishReason = FinishReason.ERROR
    usage: Usage = field(default_factory=Usage)
    drafting: DraftCounts | None = None

    @property
    def ttft_s(self) -> float:
        """Until the first token was here."""
        return self.arrivals[0][0] if self.arrivals else self.finished_s

    @property
    def rate(self) -> float:
        """Tokens a second after those that came first; 0 where no more came."""
        n = sum(count for _, count in self.arrivals[1:])
        return n / (self.finished_s - self.ttft_s) if n else 0.0


class Probe:
    """Wraps one engine with a loaded model."""

    def __init__(self, engine: Engine, command: LoadModel) -> None:
        """`command` names the model; the draft model in it is kept apart, for the rows that want one."""
        self._engine = engine
        self.draft = command.options.draft
        alone = msgspec.structs.replace(command.options, draft=None)
        self.command = msgspec.structs.replace(command, options=alone)
        self._random = random.Random(0)
        self._nonces = itertools.count(1)
        self._words_a_token = 0.0
        self.model: ModelReady | None = None

    @property
    def native(self) -> NativeFacts:
        """What llama.cpp says of the model. Raises UsageError for a backend that is not llama.cpp."""
        if self.model is None or self.model.native is None:
            raise UsageError("this engine cannot be measured alone", "Use a local model.")
        return self.model.native

    async def load(self, command: LoadModel | None = None) -> float:
        """Loads the model, or the same one with other options; returns the seconds until it was ready.

        Raises ModelError, EngineLostError.
        """
        began = time.perf_counter()
        self.model = await load_or_raise(self._engine, command or self.command, "the model")
        return time.perf_counter() - began

    async def raw(self, n_prompt: int, n_gen: int, depth: int = 0, *, warm_up: bool = True) -> float:
        """Tokens a second of the model alone, by the engine's clock. Raises GenerationError, EngineLostError."""
        request_id = self._engine.next_request_id()
        engine = require(self._engine, Benchable, "be measured alone")
        seconds = 0.0
        async with aclosing(engine.bench(Bench(request_id, n_prompt, n_gen, depth, 1, warm_up))) as events:
            async for event in events:
                match event:
                    case BenchMeasured():
                        seconds = event.seconds
                    case BenchFinished() if event.error:
                        raise GenerationError(f"the measurement failed: {event.error}")
                    case EngineLost():
                        raise _lost(event)
                    case _:
                        pass
        return (n_prompt + n_gen) / seconds

    async def ask(
        self,
        prompt: Prompt,
        sampling: SamplingParams,
        *,
        trace_top_k: int = TRACE_TOP_K,
        speculate: bool | None = None,
        shares_prefix: bool = False,
        cacheable: bool = False,
    ) -> Run:
        """Runs one request to its end; only with `cacheable` may its state go to the cache folder.

        Raises GenerationError, EngineLostError.
        """
        ids = await self._ids(prompt) if isinstance(prompt, str) else ()
        messages = () if isinstance(prompt, str) else prompt
        command = self._generate(messages, sampling, trace_top_k, speculate, shares_prefix)
        return await self._follow(msgspec.structs.replace(command, cacheable=cacheable, prompt_ids=ids), None)

    async def _ids(self, text: str) -> tuple[int, ...]:
        reported = await require(self._engine, Queryable, "split text into tokens").tokenize(
            Tokenize(self._engine.next_request_id(), text)
        )
        if isinstance(reported, EngineLost):
            raise _lost(reported)
        if reported.error:
            raise GenerationError(reported.error)
        return tuple(token.id for token in reported.tokens)

    async def abort(self, messages: Sequence[ChatMessage], sampling: SamplingParams, *, in_prefill: bool) -> float:
        """Aborts a request inside its prefill or after its first tokens; returns the seconds until it had ended."""
        aborted = asyncio.Event()
        command = self._generate(messages, sampling, TRACE_TOP_K)
        run = asyncio.create_task(self._follow(command, aborted, in_prefill=in_prefill))
        waiting = asyncio.create_task(aborted.wait())
        try:
            await asyncio.wait((run, waiting), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0.1)  # into the middle of a decode
            began = time.perf_counter()
            self._engine.abort(command.request_id)
            ended = await run
            if ended.finish_reason is not FinishReason.ABORT:
                raise GenerationError("the request ended before it could be aborted")
            return time.perf_counter() - began
        finally:
            waiting.cancel()

    async def filler(self, n_tokens: int) -> str:
        """About `n_tokens` tokens of words that no earlier text begins with."""
        if not self._words_a_token:
            text = self._text(_CALIBRATION_WORDS)
            one = SamplingParams(temperature=0.0, max_tokens=1)
            short, long = await self.ask(user("a"), one), await self.ask(user(text), one)
            self._words_a_token = _CALIBRATION_WORDS / max(1, long.usage.n_prompt - short.usage.n_prompt)
        return self._text(max(1, round(n_tokens * self._words_a_token)))

    def _text(self, n_words: int) -> str:
        return " ".join([f"{next(self._nonces)}", *(self._random.choice(_WORDS) for _ in range(n_words - 1))])

    def _generate(
        self,
        messages: Sequence[ChatMessage],
        sampling: SamplingParams,
        trace_top_k: int,
        speculate: bool | None = None,
        shares_prefix: bool = False,
    ) -> Generate:
        request_id = self._engine.next_request_id()
        command = Generate(request_id, tuple(messages), sampling, trace_top_k, cacheable=False)
        return msgspec.structs.replace(command, shares_prefix=shares_prefix, speculate=speculate)

    async def _follow(self, command: Generate, reached: asyncio.Event | None, *, in_prefill: bool = False) -> Run:
        """Reads one request to its end; `reached` is set where its abort is due."""
        run, began = Run(), time.perf_counter()
        async with aclosing(self._engine.generate(command)) as events:
            async for event in events:
                now = time.perf_counter() - began
                match event:
                    case GenerationStarted() if reached and in_prefill:
                        reached.set()
                    case TokensGenerated():
                        run.arrivals.append((now, len(event.tokens) + event.n_untraced))
                        if reached:
                            reached.set()
                    case GenerationFinished():
                        if event.finish_reason is FinishReason.ERROR:
                            raise GenerationError(event.error, event.hint)
                        run.finished_s, run.finish_reason = now, event.finish_reason
                        run.usage, run.drafting = event.usage, event.drafting
                    case EngineLost():
                        raise _lost(event)
                    case _:
                        pass
        return run


def user(text: str) -> tuple[ChatMessage, ...]:
    """A conversation of one message."""
    return (ChatMessage(Role.USER, text),)


def _lost(event: EngineLost) -> EngineLostError:
    return EngineLostError(f"the engine was lost while it measured: {event.reason}")
