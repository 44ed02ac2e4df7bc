"""Shifts a full context window during a reply: forgets the oldest part after the system prompt, moves the rest down.

As in llama-server, half of what may go is forgotten. The first tokens always stay, as attention sinks (Xiao et al.
2023).
"""

from __future__ import annotations

from app.domain.generation import FinishReason
from app.engine.core.backend import Backend
from app.engine.core.events import Shifted
from app.engine.core.sequence import Sequence, SequencePhase

N_SINK = 4


def make_room(backend: Backend, sequence: Sequence) -> Shifted | None:
    """Shifts the window of a sequence that fills it; ends the sequence if nothing can be forgotten."""
    slot = sequence.slot
    if not sequence.shift or sequence.phase is not SequencePhase.DECODE or not slot or len(slot.tokens) < backend.n_ctx:
        return None
    n_keep = _n_keep(sequence)
    n_discarded = (len(slot.tokens) - n_keep) // 2
    if n_discarded < 1:
        sequence.finish(FinishReason.CONTEXT)
        return None
    backend.shift(slot.seq_id, n_keep, n_discarded)
    slot.forget(n_keep, n_discarded)
    sequence.n_shifted += n_discarded
    slot.shifted = True
    return Shifted(sequence, n_keep, n_discarded)


def forget_shifted(backend: Backend, sequence: Sequence) -> None:
    """Removes cells computed with forgotten tokens in view, which no later prompt can reuse."""
    if sequence.n_shifted and sequence.slot:
        n_keep = _n_keep(sequence)
        if n_keep < sequence.slot.whole_from or not backend.truncate(sequence.slot.seq_id, n_keep):
            backend.clear(sequence.slot.seq_id)
            n_keep = 0
        sequence.slot.cut(n_keep)
        sequence.slot.shifted = False


def _n_keep(sequence: Sequence) -> int:
    return max(N_SINK, sequence.spans.n_system)
