"""One reply, folded from what the server sends into the events of the app. Pure but for the clock it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from msgspec.structs import asdict, replace

from app.domain.errors import TokscopeError
from app.domain.generation import DraftCounts, FinishReason, PromptSpans, Timings, Usage
from app.protocol.events import GenerationEvent, GenerationFinished, GenerationStarted, PrefillProgress, TokensGenerated
from app.remote.chunks import Chunk, ServerTimes, ServerUsage
from app.remote.tokens import traces

_REASONS = {
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "abort": FinishReason.ERROR,
    "cancelled": FinishReason.ERROR,
    "error": FinishReason.ERROR,
    "content_filter": FinishReason.ERROR,
}
"""What a server calls an end; every other word is an end of its own accord."""


class RemoteReply:
    """Times are taken when bytes arrive: by the app's clock, the network included."""

    def __init__(self, request_id: int, seed: int, n_ctx: int, clock: Callable[[], float]) -> None:
        """`n_ctx` is the server's window in tokens, 0 if unknown; `clock` gives seconds."""
        self.seed = seed
        self.notices: tuple[str, ...] = ()
        """What the user should know of how the request was understood; set before the first chunk."""
        self._request_id = request_id
        self._n_ctx = n_ctx
        self._clock = clock
        self._sent_at = clock()
        self._first_at: float | None = None
        """When the first text or token came."""
        self._last_at = self._sent_at
        self._n_traced = 0
        self._n_counted = 0
        self._usage = ServerUsage()
        self._times = ServerTimes()
        self._end: Chunk | None = None
        self._started = False

    @property
    def complete(self) -> bool:
        """Whether the server has said why it ended."""
        return self._end is not None

    def take(self, chunk: Chunk) -> list[GenerationEvent]:
        """The events of one chunk."""
        self._usage, self._times = _newer(self._usage, chunk.usage), _newer(self._times, chunk.times)
        if progress := chunk.progress:
            self._usage = replace(self._usage, n_prompt=progress.n_total, n_cached=progress.n_cached)
        if chunk.finish:
            self._end = chunk
        events: list[GenerationEvent] = []
        if not self._started:
            self._started = True
            events.append(self._beginning())
        if progress:
            n_done, n_total = progress.n_done - progress.n_cached, progress.n_total - progress.n_cached
            events.append(PrefillProgress(self._request_id, max(0, n_done), max(0, n_total), progress.ms))
        if chunk.text or chunk.thinking or chunk.tokens:
            events.append(self._generated(chunk))
        return events

    def end(self) -> GenerationFinished:
        """The end, after the server has said all."""
        end = self._end or Chunk()
        reason = _REASONS.get(end.finish, FinishReason.STOP)
        usage = self._counts()
        if reason is FinishReason.LENGTH and 0 < self._n_ctx <= usage.n_prompt + usage.n_generated:
            reason = FinishReason.CONTEXT
        filtered = end.finish == "content_filter"
        error = f"the server ended the reply: {'its filter' if filtered else end.finish}"
        return self._finished(reason, error if reason is FinishReason.ERROR else "", end)

    def failed(self, error: TokscopeError, reason: FinishReason = FinishReason.ERROR) -> GenerationFinished:
        """The end by a failure; what came before it is good."""
        return self._finished(reason, str(error), None, error.hint)

    def aborted(self) -> GenerationFinished:
        """The end because somebody asked for it."""
        return self._finished(FinishReason.ABORT, "", None)

    def _beginning(self) -> GenerationStarted:
        known = self._counts()
        return GenerationStarted(
            self._request_id, known.n_prompt, known.n_cached, PromptSpans(), self.seed, self.notices, app_clock=True
        )

    def _generated(self, chunk: Chunk) -> TokensGenerated:
        now = self._clock()
        ms = (now - self._last_at) * 1000
        self._first_at = now if self._first_at is None else self._first_at
        self._last_at = now
        thinking = bool(chunk.thinking and not chunk.text)
        tokens = traces(chunk.tokens, ms, len(chunk.text.encode("utf-8", "replace")), thinking=thinking)
        self._n_traced += len(tokens)
        n_new = max(0, (self._usage.n_generated or 0) - self._n_counted)
        self._n_counted += n_new
        n_untraced = max(0, n_new - len(tokens))
        return TokensGenerated(
            self._request_id,
            chunk.text,
            tokens,
            reasoning=chunk.thinking,
            n_untraced=n_untraced,
            untraced_ms=0.0 if tokens else ms,
        )

    def _counts(self) -> Usage:
        usage = self._usage
        n_generated = self._n_traced if usage.n_generated is None else usage.n_generated
        n_prompt = usage.n_prompt or 0
        return Usage(n_prompt, min(usage.n_cached or 0, n_prompt), n_generated)

    def _finished(self, reason: FinishReason, error: str, end: Chunk | None, hint: str = "") -> GenerationFinished:
        times, drafting = self._times, None
        if times.n_drafted:
            drafting = DraftCounts(n_drafted=times.n_drafted, n_accepted=times.n_accepted or 0)
        usage = self._counts()
        return GenerationFinished(
            self._request_id, reason, usage, self._timings(usage), end.stop if end else None, error, hint, drafting
        )

    def _timings(self, usage: Usage) -> Timings:
        times, first_at = self._times, self._first_at
        if first_at is None:
            return Timings()
        decode_ms, decode_tps, ours = times.decode_ms, times.decode_tps, ("ttft_ms",)
        if decode_ms is None:
            decode_ms, ours = (self._last_at - first_at) * 1000, ("ttft_ms", "decode_ms", "decode_tps")
            n_steps = usage.n_generated - 1
            decode_tps = n_steps / decode_ms * 1000 if n_steps > 0 and decode_ms else None
        return Timings(
            load_ms=times.load_ms or 0.0,
            prefill_ms=times.prefill_ms or 0.0,
            ttft_ms=(first_at - self._sent_at) * 1000,
            decode_ms=decode_ms,
            prefill_tps=times.prefill_tps or 0.0,
            decode_tps=decode_tps or 0.0,
            app_clock=ours,
        )


T = TypeVar("T", ServerUsage, ServerTimes)


def _newer(before: T, now: T) -> T:
    """What was said last, field by field."""
    said = {name: value for name, value in asdict(now).items() if value is not None}
    return replace(before, **said) if said else before
