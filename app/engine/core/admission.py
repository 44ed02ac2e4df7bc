"""Admission: gives slots to waiting sequences and finds how much of each prompt is already in the KV cache.

First come, first served. A prefix that another sequence holds, or is computing, is shared or copied instead of
recomputed, so that many requests with one system prompt prefill it once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from collections.abc import Sequence as Many

from app.domain.generation import FinishReason
from app.engine.core.backend import Backend, ComputeError, Sampler, SamplingError
from app.engine.core.costs import CostCurve
from app.engine.core.draft import Drafter
from app.engine.core.reuse import Reuse
from app.engine.core.sequence import Sequence, SequencePhase
from app.engine.core.slots import SlotTable
from app.engine.core.speculation import Speculation
from app.engine.core.thinking import sampler_of


class Admission:
    """Hands out the slots of one context."""

    def __init__(
        self,
        backend: Backend,
        slots: SlotTable,
        costs: CostCurve,
        clock: Callable[[], float],
        drafter: Callable[[int, Sampler], Drafter],
        reuse: Reuse,
    ) -> None:
        self._backend = backend
        self._slots = slots
        self._costs = costs
        self._clock = clock
        self._drafter = drafter
        self._reuse = reuse
        self._running: list[Sequence] = []
        reuse.prefilling = self._prefilling

    def admit(self, waiting: deque[Sequence], active: Many[Sequence]) -> list[Sequence]:
        """Removes from `waiting` the sequences that can start now; one that never can is returned FINISHED.

        A sequence that waits for a prefix lets others pass while there are slots for all.
        """
        admitted: list[Sequence] = []
        passed: list[Sequence] = []
        while waiting:
            sequence = waiting[0]
            self._running = running = [*active, *admitted]
            if not self._refused(sequence):
                if self._must_wait(sequence, running) or len(self._slots.open) <= len(passed):
                    break
                if not sequence.params.exact and self._reuse.to_come(sequence):
                    passed.append(waiting.popleft())
                    continue
                if not self._start(sequence):
                    break
            admitted.append(waiting.popleft())
        self._running = [*active, *admitted]
        waiting.extendleft(reversed(passed))
        return admitted

    def _prefilling(self) -> list[Sequence]:
        return [sequence for sequence in self._running if sequence.phase is SequencePhase.PREFILL]

    def _refused(self, sequence: Sequence) -> bool:
        """Finishes a sequence whose prompt or adapters are invalid."""
        try:
            sequence.adapters = self._backend.adapters(sequence.params.lora)
        except SamplingError as error:
            sequence.finish(FinishReason.ERROR, error=str(error))
            return True
        n_prompt, n_ctx = len(sequence.prompt), self._backend.n_ctx
        if 0 < n_prompt < n_ctx:
            return False
        fits = f"the prompt has {n_prompt} tokens, the context window holds {n_ctx}"
        sequence.finish(FinishReason.CONTEXT, error=fits if n_prompt else "the prompt is empty")
        return True

    def _must_wait(self, sequence: Sequence, running: Many[Sequence]) -> bool:
        """Whether a sequence must wait for running ones: exact sequences and sets of adapters run alone."""
        if any(other.adapters != sequence.adapters for other in running):
            return True
        return bool(running) and (sequence.params.exact or any(other.params.exact for other in running))

    def _start(self, sequence: Sequence) -> bool:
        """Gives a sequence its slot; returns False if all are claimed."""
        claimed = self._slots.claim(sequence.prompt, sequence.adapters, sequence.cache.conversation)
        if claimed is None:
            return False
        try:
            sequence.sampler = self._sampler(sequence)
        except SamplingError as error:
            self._slots.release(claimed[0])
            sequence.finish(FinishReason.ERROR, error=str(error))
            return True
        self._backend.use_adapters(sequence.adapters)
        sequence.slot = claimed[0]
        sequence.cache.n_cached = self._reuse.fill(sequence, *claimed)
        self._reuse.checkpoints.begin(sequence)
        if sequence.speculate and not sequence.params.exact and self._backend.partial_removal:
            sequence.speculation = Speculation(self._drafter(sequence.slot.seq_id, sequence.sampler), self._costs)
            sequence.speculation.begin(sequence.prompt)
        sequence.phase = SequencePhase.PREFILL
        sequence.clock.started_s = self._clock()
        return True

    def _sampler(self, sequence: Sequence) -> Sampler:
        """Returns the sampler of a sequence with the prompt and kept reply in its history. Raises SamplingError."""
        named = [token for name in sequence.params.force for token in self._backend.token_ids(name)]
        sequence.forced.extendleft(reversed(named))
        n_before = len(sequence.prompt) - sequence.n_kept
        begun = [*sequence.prompt[n_before:], *sequence.forced]
        sampler = sampler_of(self._backend, sequence.params, sequence.block, begun)
        sampler.accept(sequence.prompt[:n_before])
        try:
            for token in sequence.prompt[n_before:]:
                sampler.force(token)
        except ComputeError as error:
            sampler.close()
            raise SamplingError(f"the reply cannot continue from its kept beginning: {error}") from error
        return sampler
