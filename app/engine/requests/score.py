"""The text side of a `Score`: returns traces of a text's tokens and the sums for its perplexity."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.trace import Origin, PromptToken, TokenTrace
from app.engine.core.backend import ComputeError
from app.engine.core.distribution import Measured
from app.engine.core.scheduler import Scheduler
from app.engine.core.scoring import SMALLEST_WINDOW, ScoredId, Scoring, check_window
from app.engine.requests.service import ModelService
from app.engine.requests.wire import top_tokens
from app.engine.text.prompt import Prompt
from app.engine.text.tokenizer import piece_text
from app.protocol.commands import Score
from app.protocol.events import Scored, ScoreFinished

_CERTAIN = Measured(1.0, 0.0, 1, 0.0, [])
"""Trace values of a token without context."""


HELD = "paused requests hold all slots: resume or stop one, then try again"


class ScoreRun:
    """Scores one text between the steps of conversations, in a separate context or, short of memory, in theirs."""

    def __init__(self, command: Score, prompt: Prompt, reported: Sequence[PromptToken], host: ModelService) -> None:
        """`reported` are the tokens of `prompt`. Raises ValueError for an invalid window."""
        backend = host.loaded.context
        n_ctx = command.n_ctx or backend.n_ctx
        check_window(n_ctx, backend.n_ctx)
        self._request_id = command.request_id
        self._host = host
        self._vocab = vocab = host.loaded.model.vocab
        self._prompt_tokens = reported
        self._n_bos = len(prompt.given)
        self._own = host.score_beside(min(n_ctx, max(len(prompt.ids), SMALLEST_WINDOW)))
        self._scheduler = Scheduler(self._own) if self._own else host.schedulers[0]
        bos = vocab.bos if self._n_bos else None
        self._scoring = Scoring(self._scheduler.backend, prompt.ids, bos, n_ctx, max(0, command.top_k))
        self._n_tokens = self._n_scored = 0
        self._nll = 0.0
        self.waits = False
        """Whether all slots are in use, so that it must wait."""

    def step(self) -> list[Scored | ScoreFinished]:
        """Runs one decode; returns its tokens, and the end after the last one."""
        scoring, scheduler = self._scoring, self._scheduler
        if not scoring.done:
            self.waits = not scoring.claim(scheduler.slots, scheduler.reuse)
            if self.waits:
                return [self.finished(HELD)] if scheduler.held_by else []
        events: list[Scored | ScoreFinished] = []
        try:
            found = [] if scoring.done else scoring.step()
        except ComputeError as error:
            if self._own is None:  # a separate context is freed, not replaced
                scheduler.fail(str(error))
            return [self.finished(str(error))]
        traces = tuple(self._trace(each) for each in found if each.index >= self._n_bos)
        if traces:
            events.append(Scored(self._request_id, traces))
        if scoring.done:
            events.append(self.finished())
        return events

    def finished(self, error: str = "") -> ScoreFinished:
        """Releases the slot or context; returns the last event."""
        self._scoring.close(self._scheduler.slots)
        if self._own:
            self._host.score_done(self._own)
            self._own = None
        return ScoreFinished(self._request_id, self._n_tokens, self._n_scored, self._nll, error)

    def _trace(self, scored: ScoredId) -> TokenTrace:
        measured = scored.measured or _CERTAIN
        self._n_tokens += 1
        if scored.counts:
            self._n_scored += 1
            self._nll -= measured.logprob
        return TokenTrace(
            scored.token,
            piece_text(self._vocab, scored.token),
            scored.decode_ms + scored.measure_ms,
            measured.p,
            measured.logprob,
            measured.rank,
            measured.entropy,
            top_tokens(self._vocab, measured.top),
            Origin.FORCED,
            n_bytes=self._prompt_tokens[scored.index].n_bytes,
            p_end=measured.p_end,
            decode_ms=scored.decode_ms,
            sample_ms=scored.measure_ms,
        )
