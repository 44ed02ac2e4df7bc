"""An account of every cell of a request's window: what lies in it, where it came from and what computing it took."""

from __future__ import annotations

from app.domain.generation import CellSpan
from app.engine.core.sequence import Sequence


def account(sequence: Sequence, n_ctx: int, now_s: float) -> tuple[CellSpan, ...]:
    """The spans of the window of `n_ctx` cells in order, none empty; their counts sum to `n_ctx`.

    What a shift forgot is left out, oldest first after the system prompt. Empty where the sequence never had a slot.
    `now_s` ends a prefill that was cut short.
    """
    if sequence.slot is None:
        return ()
    n_prompt, spans = len(sequence.prompt), sequence.spans
    n_reply = max(0, sequence.n_past + sequence.n_shifted - n_prompt)
    n_computed = min(n_prompt, sequence.n_past + sequence.n_shifted)
    timings = sequence.timings(now_s, 0.0)
    per_token = timings.prefill_ms / max(1, n_computed - sequence.n_cached)
    cached = "restored" if sequence.n_restored else "shared" if sequence.n_shared else "reused"
    ends = (spans.n_system, spans.n_system + spans.n_history, n_prompt - sequence.n_kept, n_prompt)
    parts: list[CellSpan] = []
    start = 0
    for kind, end in zip(("system", "earlier", "prompt", "reply"), ends, strict=True):
        border = min(max(start, sequence.n_cached), end)
        parts.append(CellSpan(kind, border - start, cached))
        n_new = max(0, min(end, n_computed) - border)
        parts.append(CellSpan(kind, n_new, "computed", n_new * per_token))
        start = end
    parts.append(CellSpan("reply", n_reply, "computed", timings.decode_ms))
    parts = _without_shifted(parts, sequence.n_shifted)
    n_used = sum(part.n_tokens for part in parts)
    return tuple(part for part in (*parts, CellSpan("free", n_ctx - n_used)) if part.n_tokens)


def _without_shifted(parts: list[CellSpan], n_shifted: int) -> list[CellSpan]:
    left: list[CellSpan] = []
    for part in parts:
        n_lost = 0 if part.kind == "system" else min(part.n_tokens, n_shifted)
        n_shifted -= n_lost
        left.append(CellSpan(part.kind, part.n_tokens - n_lost, part.source, part.ms))
    return left
