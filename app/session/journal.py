"""Keeps what a reply yields while it streams: its text, saved every so often, and the trace of its tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from msgspec.structs import replace

from app.domain.sampling import SamplingParams
from app.domain.trace import ReplyTrace, TokenTrace
from app.protocol.events import GenerationEvent, GenerationFinished, GenerationStarted, PromptRendered, TokensGenerated


class TraceCollector:
    """The trace of one reply, begun with the tokens that are kept of an older one."""

    def __init__(self, sampling: SamplingParams, kept: Sequence[TokenTrace] = ()) -> None:
        self._tokens = list(kept)
        self._rest = ReplyTrace(sampling=sampling, n_kept=len(kept))
        self._made: ReplyTrace | None = None

    @property
    def n_generated(self) -> int:
        """Tokens that came from the engine."""
        return len(self._tokens) - self._rest.n_kept

    def add(self, event: GenerationEvent) -> None:
        """Takes one event of the reply's request."""
        match event:
            case TokensGenerated(tokens=tokens):
                self._tokens += tokens
            case GenerationStarted(n_cached=n_cached, seed=seed):
                self._rest = replace(self._rest, n_cached=n_cached, seed=seed)
            case PromptRendered(tokens=tokens):
                self._rest = replace(self._rest, prompt=tokens)
            case GenerationFinished(cells=cells, drafting=drafting):
                self._rest = replace(self._rest, cells=cells, drafting=drafting)
            case _:
                return
        self._made = None

    def trace(self) -> ReplyTrace:
        """All that is known so far; the same value as long as nothing comes."""
        if self._made is None:
            self._made = replace(self._rest, tokens=tuple(self._tokens))
        return self._made


INTERVAL_S = 0.2
"""Rest after a write. With the write itself no text waits longer than the promised 250 ms."""


class Journal:
    """Hands the text so far to `write` soon after it changed, and then not again for INTERVAL_S.

    `add` never waits. At most one write is in flight; what came meanwhile goes with the next one.
    """

    def __init__(
        self,
        write: Callable[[str], Awaitable[None]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        text: str = "",
    ) -> None:
        """`text` is written already."""
        self._write = write
        self._sleep = sleep
        self._parts = [text]
        self._changed = asyncio.Event()
        self._writing: asyncio.Future[None] | None = None
        self._task = asyncio.create_task(self._run())

    @property
    def text(self) -> str:
        """All that was added to the text at first."""
        return "".join(self._parts)

    def add(self, text: str) -> None:
        """Appends; empty text changes nothing."""
        if text:
            self._parts.append(text)
            self._changed.set()

    async def close(self) -> None:
        """Stops writing; returns when no write is in flight. The text stays readable."""
        self._task.cancel()
        await asyncio.wait({self._task})
        if self._writing:
            await asyncio.wait({self._writing})

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            self._writing = asyncio.ensure_future(self._write(self.text))
            await asyncio.shield(self._writing)
            await self._sleep(INTERVAL_S)
