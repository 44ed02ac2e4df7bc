"""The loop: admit, build a batch (decode rows first, then prompt chunks), compute it, sample, finish.

One `step` is one llama_decode. Requests join and leave between steps; an abort frees its slot at once. Each step
returns its events in order.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from app.domain.generation import CellSpan, FinishReason
from app.engine.core.admission import Admission
from app.engine.core.backend import Backend, ComputeError, Decoded, Sampler
from app.engine.core.cells import CellMap
from app.engine.core.chooser import Chooser
from app.engine.core.draft import Drafter, NGramDrafter
from app.engine.core.events import Blocked, Finished, Held, Prefilled, Started, StepEvent
from app.engine.core.reuse import Archive, Reuse
from app.engine.core.rows import Rows, build, running
from app.engine.core.sequence import Sequence, SequencePhase
from app.engine.core.slots import SlotState, SlotTable
from app.engine.core.tuning import DecodeTuner
from app.engine.core.window import forget_shifted, make_room


def look_up(_seq_id: int, _sampler: Sampler) -> Drafter:
    """Creates the n-gram drafter, which needs no model."""
    return NGramDrafter()


class Scheduler:
    """Owns the sequences and slots of one context; used from one thread."""

    def __init__(
        self,
        backend: Backend,
        clock: Callable[[], float] = time.perf_counter,
        drafter: Callable[[int, Sampler], Drafter] = look_up,
        archive: Archive | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`drafter(seq_id, sampler)` creates the drafter of a sequence with speculation.

        `archive` keeps the states of slots that are reused. `wall` returns the Unix time, for the map of cells.
        """
        self.backend = backend
        self.slots = SlotTable(backend.n_slots)
        self._pace = DecodeTuner(backend)
        self.reuse = Reuse(backend, self.slots, archive, wall)
        self._cell_map = CellMap(backend, self.slots)
        self._wall = wall
        self.admission = Admission(backend, self.slots, self._pace.costs, clock, drafter, self.reuse)
        self._clock = clock
        self._waiting: deque[Sequence] = deque()
        self._active: list[Sequence] = []
        self._stuck = False
        """Whether the last step did nothing because every waiting sequence needs a slot."""
        self._chooser = Chooser(backend, clock)

    @property
    def idle(self) -> bool:
        """True when a step would do nothing."""
        for sequence in self._active:
            if not sequence.waits:
                return False
        if not self._waiting:
            return True
        return self._stuck and self.slots.full and not any(s.phase is SequencePhase.FINISHED for s in self._waiting)

    def submit(self, sequence: Sequence) -> None:
        """Queues a sequence for a later step."""
        self._stuck = False
        self._waiting.append(sequence)

    def step(self) -> list[StepEvent]:
        """Runs one llama_decode, or none if there is nothing to compute. Never raises for the fault of one request."""
        events: list[StepEvent] = []
        began_s = self._clock()
        self._sweep(events)
        if self._release(events):
            self._sweep(events)
            return events
        started = self.admission.admit(self._waiting, [s for s in self._active if s.phase is not SequencePhase.HELD])
        self._active += started
        events += [Started(sequence) for sequence in started if sequence.phase is SequencePhase.PREFILL]
        events += [shifted for each in self._active if (shifted := make_room(self.backend, each))]
        if events:
            events += self._cell_map.changes(self._active, began_s)
        rows = build(self.backend, running(self._active), self._pace.chunk)
        if rows:
            self.backend.use_adapters(rows[0].sequence.adapters)
            self._pace.prepare(exact=rows[0].sequence.params.exact)
            self._compute(rows, began_s, events)
        self._sweep(events)
        self._stuck = not rows and not events
        if changed := self._cell_map.changes(self._active, self._clock()):
            events += changed
            events.sort(key=lambda each: isinstance(each, Held))  # a held sequence has no later events
        if self._stuck:
            events += self._blocked()
        if not self._active and not self._waiting:
            self._pace.chunk.recover()
        return events

    @property
    def held_by(self) -> tuple[int, ...]:
        """The held requests if they have every slot, so that a new one must wait; else empty."""
        held = [s.request_id for s in self._active if s.phase is SequencePhase.HELD and not s.held.released]
        return tuple(held) if len(held) == self.backend.n_slots else ()

    def _blocked(self) -> list[Blocked]:
        """Sequences that wait for held ones and were not yet reported."""
        held_by = self.held_by
        found = [s for s in self._waiting if held_by and not s.block_reported and s.phase is not SequencePhase.FINISHED]
        for sequence in found:
            sequence.block_reported = True
        return [Blocked(sequence, held_by) for sequence in found]

    def _release(self, events: list[StepEvent]) -> bool:
        """Chooses the next token of resumed sequences; the next step computes them. False if there are none."""
        released = [s for s in self._active if s.phase is SequencePhase.HELD and s.held.released]
        for sequence in released:
            self._choose(sequence, None, events)
        self._stuck = self._stuck and not released
        return bool(released)

    def _choose(self, sequence: Sequence, row: int | None, events: list[StepEvent]) -> None:
        """Chooses one token without a draft, from a row or from kept logits."""
        n_before = len(sequence.generated)
        if row is None:
            self._chooser.release(sequence, events)
        else:
            self._chooser.choose(sequence, self.backend.logits(row), events)
        if sequence.speculation:
            sequence.speculation.verified([], sequence.generated[n_before:])

    def _sweep(self, events: list[StepEvent]) -> None:
        """Reports and removes finished sequences."""
        if not any(s.phase is SequencePhase.FINISHED for s in (*self._active, *self._waiting)):
            return
        for sequence in (*self._active, *self._waiting):
            if sequence.phase is SequencePhase.FINISHED:
                if sequence.slot:
                    sequence.cache.cells = self.account(sequence)
                    forget_shifted(self.backend, sequence)
                    self.slots.release(sequence.slot)
                if sequence.sampler:
                    sequence.incomplete = not sequence.sampler.complete
                    sequence.sampler.close()
                events.append(Finished(sequence))
        self._active = [s for s in self._active if s.phase is not SequencePhase.FINISHED]
        self._waiting = deque(s for s in self._waiting if s.phase is not SequencePhase.FINISHED)

    def _compute(self, rows: list[Rows], began_s: float, events: list[StepEvent]) -> None:
        """Decodes and samples. `began_s`: start of the step; the time since then counts as computing."""
        decode_began_s = self._clock()
        try:
            decoded = self.backend.decode()
        except ComputeError as error:
            self._fail(rows, str(error))
            return
        self.slots.settle()
        ended_s = self._clock()
        for row in rows:
            row.sequence.clock.decode_ms += (ended_s - max(began_s, row.sequence.clock.started_s)) * 1e3
            row.sequence.clock.computed_s = ended_s
        if decoded is not Decoded.DONE:
            self._undo(rows, decoded)
            return
        seconds = ended_s - decode_began_s
        last, at = rows[-1], self._wall()  # decoding sequences come first, exact ones run alone
        decoding = last.sequence.phase is SequencePhase.DECODE and last.first_output is not None
        self._pace.decoded(seconds, n_decoding=len(rows) if decoding else 0, exact=last.sequence.params.exact)
        for row in rows:
            sequence = row.sequence
            if sequence.phase is SequencePhase.DECODE and row.first_output is not None:
                self._verify(row, at, events)
                continue
            assert sequence.slot is not None
            sequence.slot.add(row.tokens, at)
            self.reuse.checkpoints.reached(sequence)
            if sequence.phase is SequencePhase.DECODE:
                continue
            n_done, ms = sequence.n_past - sequence.cache.n_cached, (self._clock() - sequence.clock.started_s) * 1e3
            events.append(Prefilled(sequence, n_done, ms))
            if row.first_output is not None:
                self._choose(sequence, row.first_output, events)

    def _verify(self, row: Rows, at: float, events: list[StepEvent]) -> None:
        """Chooses a token after each row while the draft or forced tokens agree, then removes the rest.

        Every token comes from the target's own chain on its true prefix, so a draft only changes the speed.
        """
        sequence, follow = row.sequence, row.tokens[1:]
        drafted = [] if sequence.forced else follow
        assert sequence.slot is not None
        assert row.first_output is not None
        n_before, n_past = len(sequence.generated), sequence.n_past
        for i, token in enumerate(row.tokens):
            sequence.slot.add((token,), at)
            logits = self.backend.logits(row.first_output + i)
            self._chooser.choose(sequence, logits, events, drafted[i:], bonus=0 < i == len(drafted))
            if sequence.phase is not SequencePhase.DECODE or sequence.generated[-1:] != follow[i : i + 1]:
                break
        if sequence.speculation:
            sequence.speculation.verified(drafted, sequence.generated[n_before:])
        n_undone = n_past + len(row.tokens) - sequence.n_past
        if n_undone and not self.backend.truncate(sequence.slot.seq_id, sequence.n_past):
            self._recompute(sequence)

    def _undo(self, rows: list[Rows], decoded: Decoded) -> None:
        """Reverts an incomplete batch, so that the cache again matches the slots."""
        self.backend.clear_abort()
        for row in rows:
            slot = row.sequence.slot
            assert slot is not None
            if not self.backend.truncate(slot.seq_id, len(slot.tokens)):
                self._recompute(row.sequence)
        if decoded is Decoded.NO_SLOT and not self._forget_residents():
            prefilling = any(row.sequence.phase is SequencePhase.PREFILL for row in rows)
            if not (prefilling and self._pace.chunk.halve()):
                # End the largest one, so that the others can continue.
                max((row.sequence for row in rows), key=lambda each: each.n_past).finish(FinishReason.CONTEXT)

    def _forget_residents(self) -> bool:
        """Frees the cells of finished requests for the running ones; False if there are none."""
        residents = [slot for slot in self.slots.slots if slot.state is SlotState.RESIDENT]
        for slot in residents:
            self.backend.clear(slot.seq_id)
            slot.cut(0)
            slot.state = SlotState.FREE
        return bool(residents)

    def _recompute(self, sequence: Sequence) -> None:
        """Recomputes a sequence's cache from its last checkpoint, without sampling again."""
        assert sequence.slot is not None
        n_kept = self.reuse.checkpoints.rewind(sequence.slot, sequence.n_past)
        sequence.cache.n_cached = min(sequence.cache.n_cached, n_kept)

    def _fail(self, rows: list[Rows], error: str) -> None:
        """Ends the requests of a failed batch and creates a new context. Raises ComputeError if that fails too."""
        for row in rows:
            row.sequence.finish(FinishReason.ERROR, error=error)
        for sequence in self._active:
            if sequence.slot:
                sequence.finish(FinishReason.ERROR, error=error)
        self.backend.reset()
        self.slots.reset()
        for sequence in self._active:
            sequence.slot = None  # another may claim the slot before they are removed

    def fail(self, error: str) -> None:
        """Ends all started requests and creates a new context, after a failed decode outside the loop.

        Raises ComputeError if that fails too.
        """
        self._fail([], error)

    def account(self, sequence: Sequence) -> tuple[CellSpan, ...]:
        """Returns the spans of a sequence's window."""
        return self._cell_map.spans(sequence, self._clock())

    def check_integrity(self) -> list[str]:
        """Returns differences between slots and KV cache, one line each; run when idle."""
        wrong: list[str] = []
        for slot in self.slots.slots:
            held = self.backend.n_cells(slot.seq_id)
            if held != len(slot.tokens):
                wrong.append(f"slot {slot.seq_id} should hold {len(slot.tokens)} cells, the cache has {held}")
        return wrong
