"""Chooses a sequence's next token from a row of logits, measures it, and ends the reply if it is the last."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Many

from app.domain.generation import FinishReason
from app.domain.trace import Origin
from app.engine.core.backend import Backend, ComputeError, Logits
from app.engine.core.distribution import Distribution
from app.engine.core.events import Held, Sampled, StepEvent
from app.engine.core.preview import preview
from app.engine.core.sequence import Sequence, SequencePhase

_N_PREVIEWED = 10
"""Candidates to report for a held sequence whose request asked for none."""


class Chooser:
    """Chooses tokens for all sequences of one context."""

    def __init__(self, backend: Backend, clock: Callable[[], float]) -> None:
        self._backend = backend
        self._clock = clock
        self._distribution = Distribution(backend.n_vocab, backend.eog)

    def choose(
        self,
        sequence: Sequence,
        logits: Logits,
        events: list[StepEvent],
        drafted: Many[int] = (),
        *,
        bonus: bool = False,
    ) -> None:
        """Gives the sequence its next token, holds it, or ends it if no token is possible.

        `drafted`: the rest of the draft; `bonus`: whether a whole draft before this token was accepted.
        """
        sampler = sequence.sampler
        assert sampler is not None
        if sequence.held.n_left == 0:
            self._hold(sequence, logits, self._clock(), events)
            return
        watch = self._distribution.best(logits, sequence.trace_top_k) if sequence.trace_stages else None
        try:
            token, origin = self._take(sequence, logits, watch)
        except ComputeError as error:
            sequence.finish(FinishReason.ERROR, error=str(error))
            return
        forced = origin is Origin.FORCED
        measured = self._distribution.measure(logits, token, sequence.trace_top_k, None if forced else sampler.near)
        sampled = Sampled(sequence, token, 0.0, measured, origin, thinking=sampler.thinking)
        if watch is not None and not forced:
            sampled.report = sampler.report
        if drafted and token != drafted[0]:
            sampled.ghosts = ((drafted[0], self._distribution.p(drafted[0])), *((ghost, 0.0) for ghost in drafted[1:]))
        elif origin is Origin.SAMPLED and (drafted or bonus):
            sampled.origin = Origin.DRAFT if drafted else Origin.BONUS
        now_s = self._clock()
        sampled.ms = sequence.accept(token, now_s)
        sampled.sample_ms = (now_s - sequence.clock.computed_s) * 1e3
        sequence.clock.computed_s = now_s  # the next token of a draft is chosen from the same decode
        sampled.decode_ms, sequence.clock.decode_ms = sequence.clock.decode_ms, 0.0
        events.append(sampled)
        if sequence.held.n_left is not None:
            sequence.held.n_left -= 1
        self._end(sequence, token)

    def release(self, sequence: Sequence, events: list[StepEvent]) -> None:
        """Chooses the next token of a held sequence from the kept logits."""
        sequence.clock.computed_s = self._clock()
        self.choose(sequence, sequence.release(sequence.clock.computed_s), events)

    def _hold(self, sequence: Sequence, logits: Logits, now_s: float, events: list[StepEvent]) -> None:
        assert sequence.sampler is not None
        try:
            next_token = preview(self._distribution, sequence.sampler, logits, sequence.trace_top_k or _N_PREVIEWED)
        except ComputeError as error:
            sequence.finish(FinishReason.ERROR, error=str(error))
            return
        sequence.hold(logits, now_s)
        events.append(Held(sequence, next_token))

    def _take(self, sequence: Sequence, logits: Logits, watch: list[int] | None) -> tuple[int, Origin]:
        """Returns the next token and its origin. Raises ComputeError."""
        assert sequence.sampler is not None
        if sequence.forced:
            token = sequence.forced.popleft()
            sequence.sampler.force(token)
            return token, Origin.FORCED
        token = sequence.sampler.sample(logits, watch)
        return token, Origin.GRAMMAR if sequence.sampler.redirected else Origin.SAMPLED

    def _end(self, sequence: Sequence, token: int) -> None:
        """Continues the sequence, or ends it with this token."""
        sequence.phase = SequencePhase.DECODE
        if token in self._backend.eog:
            sequence.finish(FinishReason.STOP, stop_token=token)
        elif len(sequence.generated) == sequence.params.max_tokens:
            sequence.finish(FinishReason.LENGTH)
        elif sequence.n_past >= self._backend.n_ctx and not sequence.shift:
            sequence.finish(FinishReason.CONTEXT)
