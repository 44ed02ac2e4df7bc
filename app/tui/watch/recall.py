"""The events of a reply that was made long ago, as far as they can be told from what is kept of it. Pure."""

from __future__ import annotations

from app.domain.conversation import GenerationRecord
from app.domain.generation import PromptSpans
from app.domain.reply_trace import ReplyTrace
from app.protocol.events import (
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
    return [
        GenerationStarted(0, usage.n_prompt, usage.n_cached, spans, record.seed, n_kept=n_kept),
        PromptRendered(0, trace.prompt),
        PrefillProgress(0, n_new, n_new, timings.prefill_ms),
        TokensGenerated(0, "", trace.tokens[n_kept:]),
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
