"""Collects how a reply comes about while it streams. Costs one list append a step; a value is made only when asked for.

Knows the engine's events and nothing of where a trace is kept. That is done when the reply ends, however it ends; of a
reply whose process is killed the text so far is kept, and no trace.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from app.domain.reply_trace import ReplyTrace
from app.domain.sampling import SamplingParams
from app.domain.trace import TokenTrace
from app.protocol.events import GenerationEvent, GenerationFinished, GenerationStarted, PromptRendered, TokensGenerated


class Recorder:
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
