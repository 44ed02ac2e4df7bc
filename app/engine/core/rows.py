"""Builds the batch of one llama_decode: first the rows of decoding sequences, then chunks of prompts."""

from __future__ import annotations

from collections.abc import Sequence as Many
from dataclasses import dataclass

from app.engine.core.backend import Backend
from app.engine.core.sequence import Sequence, SequencePhase
from app.engine.core.speculation import LONGEST_DRAFT
from app.engine.core.tuning import ChunkSize


@dataclass(slots=True)
class Rows:
    """The rows of one sequence in the batch."""

    sequence: Sequence
    tokens: list[int]
    """For a decode: the last token of the reply, then a draft or forced tokens."""
    n_outputs: int
    """Number of last tokens with logits: all of a decode; of a prompt, only the very last."""
    first_output: int | None = None
    """Batch row of the first logits; None without logits."""


def running(active: Many[Sequence]) -> list[Sequence]:
    """Returns the sequences that can share a batch with the first one: exact ones run alone, others by adapter set.

    Admission ensures this too, but a resumed sequence may meet others that came meanwhile.
    """
    able = [s for s in active if s.phase is SequencePhase.DECODE or s.phase is SequencePhase.PREFILL]
    if len(able) < 2 or able[0].params.exact:
        return able[:1]
    return [s for s in able if not s.params.exact and s.adapters == able[0].adapters]


def build(backend: Backend, running: Many[Sequence], chunk: ChunkSize) -> list[Rows]:
    """Fills the backend's batch with the next rows of `running` sequences; it may stay empty."""
    batch = backend.batch
    batch.clear()
    rows: list[Rows] = []
    decoding = [s for s in running if s.phase is SequencePhase.DECODE and not s.n_lost]
    most_rows = batch.max_outputs // max(1, len(running))
    room = batch.room
    for sequence in decoding:
        longest = min(most_rows - 1, backend.n_ctx - sequence.n_past - 1)
        follow = sequence.forced_run(longest) or sequence.propose(min(longest, LONGEST_DRAFT))
        tokens = [sequence.generated[-1], *_until_end(follow, backend.eog)]
        rows.append(Rows(sequence, tokens, len(tokens)))
        room -= len(tokens)
    if len(decoding) < len(running):
        limit = chunk.size(len(decoding), fixed=any(s.params.exact for s in running))
        for sequence in running:
            most = min(limit, room)
            if sequence.slot and most > 0 and (sequence.phase is SequencePhase.PREFILL or sequence.n_lost):
                n_past = sequence.n_past
                tokens = sequence.known[n_past : n_past + min(most, sequence.n_to_stop)]
                last = sequence.phase is SequencePhase.PREFILL and n_past + len(tokens) == len(sequence.prompt)
                rows.append(Rows(sequence, tokens, 1 if last else 0))
                limit -= len(tokens)
                room -= len(tokens)
    for row in sorted(rows, key=_seq_id):  # llama.cpp computes neighbouring streams together only in order
        first = batch.add(row.tokens, row.sequence.n_past, _seq_id(row), row.n_outputs)
        row.first_output = first + len(row.tokens) - row.n_outputs if row.n_outputs else None
    return rows


def _seq_id(row: Rows) -> int:
    assert row.sequence.slot is not None
    return row.sequence.slot.seq_id


def _until_end(draft: list[int], eog: frozenset[int]) -> list[int]:
    """Returns the tokens up to the end of the reply; rows after it would be wasted."""
    if eog.isdisjoint(draft):
        return draft
    return draft[: 1 + next(i for i, token in enumerate(draft) if token in eog)]
