"""The loop: admit, build a batch (decode rows first, then prompt chunks), compute it, sample, finish.

One `step` is one llama_decode. Requests join and leave between steps; an abort frees its slot at once. Everything that
happened in a step comes back as a list, in order; text and frames are made elsewhere.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from app.domain.generation import FinishReason
from app.domain.trace import Origin
from app.engine.core.admission import Admission
from app.engine.core.backend import Backend, ComputeError, Decoded, Logits
from app.engine.core.cells import account
from app.engine.core.distribution import Distribution
from app.engine.core.draft import Drafter, NGramDrafter
from app.engine.core.happenings import Finished, Happening, Prefilled, Sampled, Started
from app.engine.core.pace import Pace
from app.engine.core.reuse import Archive, Reuse
from app.engine.core.sequence import Phase, Sequence
from app.engine.core.slots import SlotState, SlotTable
from app.engine.core.speculation import LONGEST_DRAFT
from app.engine.core.window import forget_shifted, make_room


@dataclass(slots=True)
class _Rows:
    """What a sequence has in the batch."""

    sequence: Sequence
    tokens: list[int]
    """Of a decode: the last sampled token, then a draft."""
    first_output: int | None
    """Batch row of the first logits; those of a draft follow. None for a prompt chunk that is not the last."""


def look_up(_seq_id: int) -> Drafter:
    """The drafter that needs no model."""
    return NGramDrafter()


class Scheduler:
    """Owns the sequences and slots of one context; used from one thread."""

    def __init__(
        self,
        backend: Backend,
        clock: Callable[[], float] = time.perf_counter,
        drafter: Callable[[int], Drafter] = look_up,
        archive: Archive | None = None,
    ) -> None:
        """`drafter` makes the drafter for a sequence that asks for speculation, given its seq_id.

        `archive` keeps what slots lose; without one it is lost.
        """
        self.backend = backend
        self.slots = SlotTable(backend.n_slots)
        self._pace = Pace(backend)
        self.reuse = Reuse(backend, self.slots, archive)
        self.admission = Admission(backend, self.slots, self._pace.costs, clock, drafter, self.reuse)
        self._clock = clock
        self._waiting: deque[Sequence] = deque()
        self._active: list[Sequence] = []
        self._distribution = Distribution(backend.n_vocab)

    @property
    def idle(self) -> bool:
        """True when a step would do nothing."""
        return not self._waiting and not self._active

    def submit(self, sequence: Sequence) -> None:
        """Queues a sequence; it starts with a later step."""
        self._waiting.append(sequence)

    def step(self) -> list[Happening]:
        """Runs one llama_decode, or none when nothing is to be computed. Never raises for one request's sake."""
        happened: list[Happening] = []
        self._sweep(happened)
        started = self.admission.admit(self._waiting, self._active)
        self._active += started
        happened += [Started(sequence) for sequence in started if sequence.phase is Phase.PREFILL]
        happened += [shifted for each in self._active if (shifted := make_room(self.backend, each))]
        rows = self._build()
        if rows:
            self._pace.prepare(exact=any(row.sequence.params.exact for row in rows))
            self._compute(rows, happened)
        self._sweep(happened)
        if self.idle:
            self._pace.chunk.recover()
        return happened

    def _sweep(self, happened: list[Happening]) -> None:
        """Reports and removes finished sequences."""
        if not any(s.phase is Phase.FINISHED for s in (*self._active, *self._waiting)):
            return
        for sequence in (*self._active, *self._waiting):
            if sequence.phase is Phase.FINISHED:
                if sequence.slot:
                    sequence.cells = account(sequence, self.backend.n_ctx, self._clock())
                    forget_shifted(self.backend, sequence)
                    self.slots.release(sequence.slot)
                if sequence.sampler:
                    sequence.sampler.close()
                happened.append(Finished(sequence))
        self._active = [s for s in self._active if s.phase is not Phase.FINISHED]
        self._waiting = deque(s for s in self._waiting if s.phase is not Phase.FINISHED)

    def _build(self) -> list[_Rows]:
        batch = self.backend.batch
        batch.clear()
        rows: list[_Rows] = []
        decoding = [s for s in self._active if s.phase is Phase.DECODE and not s.n_lost]
        most_rows = batch.max_outputs // max(1, len(self._active))
        for sequence in decoding:
            assert sequence.slot is not None
            n_past = sequence.n_past
            longest = min(most_rows - 1, LONGEST_DRAFT, self.backend.n_ctx - n_past - 1)
            tokens = [sequence.generated[-1], *sequence.propose(longest)]
            rows.append(_Rows(sequence, tokens, batch.add(tokens, n_past, sequence.slot.seq_id, len(tokens))))
        limit = self._pace.chunk.size(len(decoding), fixed=any(s.params.exact for s in self._active))
        for sequence in self._active:
            room = min(limit, batch.room)
            if sequence.slot and room > 0 and (sequence.phase is Phase.PREFILL or sequence.n_lost):
                n_past = sequence.n_past
                tokens = sequence.known[n_past : n_past + room]
                last = sequence.phase is Phase.PREFILL and n_past + len(tokens) == len(sequence.prompt)
                first = batch.add(tokens, n_past, sequence.slot.seq_id, 1 if last else 0)
                rows.append(_Rows(sequence, tokens, first + len(tokens) - 1 if last else None))
                limit -= len(tokens)
        return rows

    def _compute(self, rows: list[_Rows], happened: list[Happening]) -> None:
        began = self._clock()
        try:
            decoded = self.backend.decode()
        except ComputeError as error:
            self._fail(rows, str(error))
            return
        if decoded is not Decoded.DONE:
            self._undo(rows, decoded)
            return
        seconds = self._clock() - began
        alone = len(rows) == 1 and rows[0].sequence.phase is Phase.DECODE and rows[0].first_output is not None
        self._pace.decoded(seconds, alone=alone, exact=any(row.sequence.params.exact for row in rows))
        for row in rows:
            sequence = row.sequence
            if sequence.phase is Phase.DECODE and row.first_output is not None:
                self._verify(row, happened)
                continue
            assert sequence.slot is not None
            sequence.slot.tokens += row.tokens
            if sequence.phase is Phase.DECODE:
                continue
            n_done, ms = sequence.n_past - sequence.n_cached, (self._clock() - sequence.started_s) * 1e3
            happened.append(Prefilled(sequence, n_done, ms))
            if row.first_output is not None:
                self._sample(sequence, row.first_output, happened)
                if sequence.speculation:
                    sequence.speculation.verified([], sequence.generated[-1:])

    def _verify(self, row: _Rows, happened: list[Happening]) -> None:
        """Samples after each row for as long as the draft agrees with the samples, and takes the rest back.

        Every token comes from the target's own chain on its true prefix, so that a draft changes the speed alone.
        """
        sequence, drafted = row.sequence, row.tokens[1:]
        assert sequence.slot is not None
        assert row.first_output is not None
        n_before, n_past = len(sequence.generated), sequence.n_past
        for i, token in enumerate(row.tokens):
            sequence.slot.tokens.append(token)
            expected = drafted[i] if i < len(drafted) else None
            self._sample(sequence, row.first_output + i, happened, expected)
            if sequence.phase is Phase.FINISHED or sequence.generated[-1] != expected:
                break
        if sequence.speculation:
            sequence.speculation.verified(drafted, sequence.generated[n_before:])
        n_undone = n_past + len(row.tokens) - sequence.n_past
        if n_undone and not self.backend.truncate(sequence.slot.seq_id, sequence.n_past):
            self._recompute(sequence)

    def _sample(self, sequence: Sequence, row: int, happened: list[Happening], expected: int | None = None) -> None:
        assert sequence.sampler is not None
        logits = self.backend.logits(row)
        watch = self._distribution.best(logits, sequence.trace_top_k) if sequence.trace_stages else None
        try:
            token, origin = self._choose(sequence, logits, watch, expected)
        except ComputeError as error:
            sequence.finish(FinishReason.ERROR, error=str(error))
            return
        ms = sequence.accept(token, self._clock())
        sequence.phase = Phase.DECODE
        near = None if origin is Origin.FORCED else sequence.sampler.near
        measured = self._distribution.measure(logits, token, sequence.trace_top_k, near)
        report = sequence.sampler.report if watch is not None and origin is not Origin.FORCED else None
        happened.append(Sampled(sequence, token, ms, measured, origin, report))
        if token in self.backend.eog:
            sequence.finish(FinishReason.STOP, stop_token=token)
        elif len(sequence.generated) == sequence.params.max_tokens:
            sequence.finish(FinishReason.LENGTH)
        elif sequence.n_past >= self.backend.n_ctx and not sequence.shift:
            sequence.finish(FinishReason.CONTEXT)

    def _choose(
        self, sequence: Sequence, logits: Logits, watch: list[int] | None, expected: int | None
    ) -> tuple[int, Origin]:
        """The next token and where it came from. Raises ComputeError."""
        assert sequence.sampler is not None
        if len(sequence.generated) < len(sequence.forced):
            token = sequence.forced[len(sequence.generated)]
            sequence.sampler.force(token)
            return token, Origin.FORCED
        token = sequence.sampler.sample(logits, watch)
        if sequence.sampler.resampled:
            return token, Origin.GRAMMAR
        return token, Origin.DRAFT if token == expected else Origin.SAMPLED

    def _undo(self, rows: list[_Rows], decoded: Decoded) -> None:
        """Takes an incomplete batch back, so that the cache again holds exactly what the slots say."""
        self.backend.clear_abort()
        for row in rows:
            slot = row.sequence.slot
            assert slot is not None
            if not self.backend.truncate(slot.seq_id, len(slot.tokens)):
                self._recompute(row.sequence)
        if decoded is Decoded.NO_SLOT and not self._forget_residents():
            prefilling = any(row.sequence.phase is Phase.PREFILL for row in rows)
            if not (prefilling and self._pace.chunk.halve()):
                # One ends, so that the others go on: the one that holds most.
                max((row.sequence for row in rows), key=lambda each: each.n_past).finish(FinishReason.CONTEXT)

    def _forget_residents(self) -> bool:
        """Gives the cells of finished requests to those that run; False where there are none to give."""
        residents = [slot for slot in self.slots.slots if slot.state is SlotState.RESIDENT]
        for slot in residents:
            self.backend.clear(slot.seq_id)
            slot.tokens, slot.state = [], SlotState.FREE
        return bool(residents)

    def _recompute(self, sequence: Sequence) -> None:
        """Lets a sequence's cache be computed again where the model gives up no part of it; samples nothing twice."""
        assert sequence.slot is not None
        self.backend.clear(sequence.slot.seq_id)
        sequence.slot.tokens = []
        sequence.n_cached = 0

    def _fail(self, rows: list[_Rows], error: str) -> None:
        """Ends the requests of a failed batch and makes a new context. Raises ComputeError where that fails too."""
        for row in rows:
            row.sequence.finish(FinishReason.ERROR, error=error)
        for sequence in self._active:
            if sequence.slot:
                sequence.finish(FinishReason.ERROR, error=error)
        self.backend.reset()
        self.slots.reset()

    def check_integrity(self) -> list[str]:
        """What is wrong with the account of cells, one line each; run when idle."""
        wrong: list[str] = []
        for slot in self.slots.slots:
            held = self.backend.n_cells(slot.seq_id)
            if held != len(slot.tokens):
                wrong.append(f"slot {slot.seq_id} should hold {len(slot.tokens)} cells, the cache says {held}")
        return wrong
