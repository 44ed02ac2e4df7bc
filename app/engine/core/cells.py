"""Describes the cells of a request's window: content, source, age, compute time, and which are shared."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from app.domain.generation import CellSpan
from app.engine.core.backend import Backend
from app.engine.core.events import CellMapChanged
from app.engine.core.sequence import Sequence, SequencePhase
from app.engine.core.slots import Slot, SlotTable


class CellMap:
    """Maps the cells of the sequences of one context."""

    def __init__(self, backend: Backend, slots: SlotTable) -> None:
        self._backend = backend
        self._slots = slots

    def spans(self, sequence: Sequence, now_s: float) -> tuple[CellSpan, ...]:
        """Returns the spans of its window in order, none empty; their counts sum to `n_ctx`.

        Leaves out tokens that a shift forgot. Empty if the sequence never had a slot. `now_s` is the end of an
        interrupted prefill.
        """
        slot = sequence.slot
        if slot is None:
            return ()
        elsewhere = "shared" if self._backend.unified and not sequence.cache.moved else "copied"
        cached = elsewhere if sequence.cache.n_shared else "reused"
        parts = _without_shifted(_parts(sequence, cached, now_s), sequence.n_shifted)
        spans = _dated(parts, slot, sorted(self._slots.shared_by(slot).values()))
        n_used = sum(span.n_tokens for span in spans)
        free = CellSpan("free", self._backend.n_ctx - n_used)
        return tuple(span for span in (*spans, free) if span.n_tokens)

    def changes(self, sequences: Iterable[Sequence], now_s: float) -> list[CellMapChanged]:
        """Returns the maps that changed since their last report, other than by newly computed cells."""
        found: list[CellMapChanged] = []
        for sequence in sequences:
            slot, phase = sequence.slot, sequence.phase
            if slot is None or phase is SequencePhase.FINISHED:
                continue
            shared = tuple(sorted(self._slots.shared_by(slot).values())) if slot.shared else ()
            n_past = sequence.n_past if phase is SequencePhase.HELD else 0
            state = (phase, sequence.n_shifted, n_past, shared)
            if state != sequence.cache.reported:
                sequence.cache.reported = state
                found.append(CellMapChanged(sequence, self.spans(sequence, max(now_s, sequence.clock.started_s))))
        return found


def _parts(sequence: Sequence, cached: str, now_s: float) -> list[CellSpan]:
    """Returns the window as if no shift had happened. `cached`: the source of cells that were not computed."""
    n_prompt, spans = len(sequence.prompt), sequence.spans
    n_reply = max(0, sequence.n_past + sequence.n_shifted - n_prompt)
    n_computed = min(n_prompt, sequence.n_past + sequence.n_shifted)
    timings = sequence.timings(now_s, 0.0)
    per_token = timings.prefill_ms / max(1, n_computed - sequence.cache.n_cached)
    ends = (spans.n_system, spans.n_system + spans.n_history, n_prompt - sequence.n_kept, n_prompt)
    parts: list[CellSpan] = []
    start = 0
    for kind, end in zip(("system", "earlier", "prompt", "reply"), ends, strict=True):
        border = min(max(start, sequence.cache.n_cached), end)
        parts.append(CellSpan(kind, border - start, cached))
        n_new = max(0, min(end, n_computed) - border)
        parts.append(CellSpan(kind, n_new, "computed", n_new * per_token))
        start = end
    parts.append(CellSpan("reply", n_reply, "computed", timings.decode_ms))
    return parts


def _without_shifted(parts: list[CellSpan], n_shifted: int) -> list[CellSpan]:
    left: list[CellSpan] = []
    for part in parts:
        n_lost = 0 if part.kind == "system" else min(part.n_tokens, n_shifted)
        n_shifted -= n_lost
        left.append(CellSpan(part.kind, part.n_tokens - n_lost, part.source, part.ms))
    return left


def _dated(parts: list[CellSpan], slot: Slot, shared: list[int]) -> list[CellSpan]:
    """Returns the parts with their times, split at the boundaries of sharing and of cells read from disk.

    `shared`: for each other slot, the number of first cells that it shares.
    """
    spans: list[CellSpan] = []
    start = 0
    for part in parts:
        end = start + part.n_tokens
        borders = [start, *sorted({n for n in (slot.n_restored, *shared) if start < n < end}), end]
        for low, high in pairwise(borders):
            if low == high:
                continue
            source = "restored" if part.source != "computed" and low < slot.n_restored else part.source
            ms = part.ms * (high - low) / part.n_tokens
            since, until = slot.computed_at[low], slot.computed_at[high - 1]
            spans.append(CellSpan(part.kind, high - low, source, ms, since, until, sum(n > low for n in shared)))
        start = end
    return spans
