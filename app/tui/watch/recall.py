"""The events of a reply that was made long ago, as far as they can be told from what is kept of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.domain.conversation import GenerationRecord
from app.domain.generation import PromptSpans
from app.domain.trace import ReplyTrace, TokenTrace
from app.protocol.events import (
    ContextShifted,
    GenerationEvent,
    GenerationFinished,
    GenerationStarted,
    PrefillProgress,
    PromptRendered,
    TokensGenerated,
)


def events_of(record: GenerationRecord, trace: ReplyTrace) -> list[GenerationEvent]:
    """Returns what a meter folds to show the figures that it showed then."""
    usage, timings = record.usage, record.timings
    held = {kind: sum(cell.n_tokens for cell in trace.cells if cell.kind == kind) for kind in ("system", "earlier")}
    n_turn = max(0, usage.n_prompt - held["system"] - held["earlier"])
    spans = PromptSpans(held["system"], held["earlier"], n_turn)
    n_new = usage.n_prompt - usage.n_cached
    n_kept = max(0, len(trace.tokens) - usage.n_generated)
    n_ctx = sum(cell.n_tokens for cell in trace.cells)
    return [
        GenerationStarted(0, usage.n_prompt, usage.n_cached, spans, record.seed, n_kept=n_kept),
        PromptRendered(0, trace.prompt),
        PrefillProgress(0, n_new, n_new, timings.prefill_ms),
        *_tokens(trace.tokens[n_kept:], spans, n_ctx, record.n_shifted_tokens),
        GenerationFinished(
            0,
            record.finish_reason,
            usage,
            timings,
            record.stop,
            record.error,
            drafting=trace.drafting,
            cells=trace.cells,
        ),
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
