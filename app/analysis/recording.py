"""A recorded run: its request, its model and every event with its time; also rebuilt from a stored trace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from app.domain.conversation import GenerationRecord
from app.domain.generation import ContextPolicy, PromptSpans
from app.domain.model import LoadOptions
from app.domain.sampling import SamplingParams
from app.domain.trace import PromptToken, ReplyTrace, TokenTrace
from app.protocol.commands import ChatMessage
from app.protocol.events import (
    ContextShifted,
    EngineLost,
    GenerationEvent,
    GenerationFinished,
    GenerationStarted,
    ModelReady,
    PrefillProgress,
    PromptRendered,
    TokensGenerated,
)


def events_of(record: GenerationRecord, trace: ReplyTrace, *, lost: bool = False) -> list[GenerationEvent]:
    """Returns what a meter folds to show the figures that it showed then. `lost`: the engine died while it wrote."""
    usage, timings = record.usage, record.timings
    held = {kind: sum(cell.n_tokens for cell in trace.cells if cell.kind == kind) for kind in ("system", "earlier")}
    n_turn = max(0, usage.n_prompt - held["system"] - held["earlier"])
    by_app = bool(timings.app_clock)
    spans = PromptSpans() if by_app else PromptSpans(held["system"], held["earlier"], n_turn)
    n_new = usage.n_prompt - usage.n_cached
    n_kept = max(0, len(trace.tokens) - usage.n_generated)
    n_ctx = sum(cell.n_tokens for cell in trace.cells)
    finished = GenerationFinished(
        0,
        record.finish_reason,
        usage,
        timings,
        record.stop,
        record.error,
        drafting=trace.drafting,
        cells=trace.cells,
    )
    return [
        GenerationStarted(0, usage.n_prompt, usage.n_cached, spans, record.seed, n_kept=n_kept, app_clock=by_app),
        PromptRendered(0, trace.prompt),
        PrefillProgress(0, n_new, n_new, timings.prefill_ms),
        *_tokens(trace.tokens[n_kept:], spans, n_ctx, record.n_shifted_tokens),
        EngineLost(None, record.error) if lost else finished,
    ]


def _tokens(
    tokens: Sequence[TokenTrace], spans: PromptSpans, n_ctx: int, n_shifted: int
) -> Iterator[TokensGenerated | ContextShifted]:
    """The tokens, and between them the shifts, at the places where the window was full."""
    n_keep, n_held = spans.n_system, spans.n_system + spans.n_history + spans.n_turn - 1
    while n_shifted and 0 < n_ctx - n_held < len(tokens):
        n = n_ctx - n_held
        yield TokensGenerated(0, "", tuple(tokens[:n]))
        n_discarded = min(n_shifted, max(1, (n_ctx - n_keep) // 2))
        yield ContextShifted(0, n_keep, n_discarded)
        tokens, n_shifted, n_held = tokens[n:], n_shifted - n_discarded, n_ctx - n_discarded
    yield TokensGenerated(0, "", tuple(tokens))
    if n_shifted:
        yield ContextShifted(0, n_keep, n_shifted)


class ModelOfRecord(Struct, frozen=True, kw_only=True):
    """Which model it was."""

    name: str
    """As `-m` took it."""
    title: str
    sha256: str
    """Of the model's file; of all its parts, one after another, where it has several."""
    n_bytes: int
    """Of what was hashed."""
    options: LoadOptions
    """What it was loaded with; the draft model and the template's source are left out."""
    ready: ModelReady
    """What came of it; the path is the file's name alone."""


class Recording(Struct, frozen=True, kw_only=True):
    """One reply as it came. Times are by the engine's clock, in milliseconds since the request's arrival."""

    source: str
    """The file's name, for people."""
    time: str
    """When it was recorded, ISO 8601."""
    model: ModelOfRecord
    preset: str
    sampling: SamplingParams
    speculate: bool | None
    messages: tuple[ChatMessage, ...]
    """The whole branch, system prompt first; the last one is the user's."""
    prompt: tuple[PromptToken, ...]
    """The prompt as it was sent; empty if unknown."""
    started: GenerationStarted
    events: tuple[tuple[float, GenerationEvent], ...]
    """All that came, `started` included, with its time; the last one is a `GenerationFinished`, unless it was cut."""
    context: ContextPolicy = "stop"
    """What was to happen where the window fills."""
    cut_at: int | None = None
    """The line at which the file ends although the run did not; None when it is whole."""

    @property
    def tokens(self) -> tuple[TokenTrace, ...]:
        """The reply's tokens."""
        steps = (event for _, event in self.events if isinstance(event, TokensGenerated))
        return tuple(token for step in steps for token in step.tokens)

    @property
    def text(self) -> str:
        """The reply."""
        return "".join(event.text for _, event in self.events if isinstance(event, TokensGenerated))

    @property
    def finished(self) -> GenerationFinished | None:
        """How it ended; None when the recording is cut."""
        last = self.events[-1][1]
        return last if isinstance(last, GenerationFinished) else None

    def trace(self) -> ReplyTrace:
        """The same as it is kept with a reply of the chat."""
        finished = self.finished
        return ReplyTrace(
            tokens=self.tokens,
            prompt=self.prompt,
            n_cached=self.started.n_cached,
            sampling=self.sampling,
            seed=self.started.seed,
            cells=finished.cells if finished else (),
            drafting=finished.drafting if finished else None,
        )
