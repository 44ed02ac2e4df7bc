"""The text side of one request: token ids in, text, traces and the final event out."""

from __future__ import annotations

from app.domain.generation import FinishReason, Stop
from app.domain.trace import TokenTrace, TopToken
from app.engine.context_policy import Fitted
from app.engine.core.happenings import Sampled
from app.engine.core.sequence import Sequence
from app.engine.text.detokenizer import Detokenizer
from app.engine.text.stops import StopScanner
from app.engine.text.vocab import Vocab, piece_text
from app.protocol.events import GenerationFinished, GenerationStarted


class Reply:
    """Detokenises, holds stop strings back and remembers the whole text."""

    def __init__(self, sequence: Sequence, fitted: Fitted, vocab: Vocab) -> None:
        prompt = fitted.prompt
        self.fitted = fitted
        self.sequence = sequence
        self.prompt = prompt
        self.stop: Stop | None = None
        self.n_tokens = 0
        """Tokens that belong to the reply."""
        self._vocab = vocab
        self._detokenizer = Detokenizer(vocab, strip_space=prompt.strip_space)
        self._stops = StopScanner(sequence.params.stop)
        self._shown: list[str] = []

    @property
    def text(self) -> str:
        """All text shown so far."""
        return "".join(self._shown)

    def push(self, sampled: Sampled) -> str:
        """Takes a token; returns the text that it lets out. Sets `stop` when a stop string is complete."""
        self.n_tokens += 1
        if sampled.token in self._vocab.eog:
            self.stop = Stop("eog", piece_text(self._vocab, sampled.token), sampled.token)
            return ""
        text, matched = self._stops.push(self._detokenizer.push([sampled.token]))
        if matched is not None:
            self.stop = Stop("string", matched)
        self._shown.append(text)
        return text

    def flush(self) -> str:
        """Returns what was held back for a stop string that did not come."""
        text = self._stops.flush()
        self._shown.append(text)
        return text

    def started(self) -> GenerationStarted:
        """The first event of the request, once it has its slot."""
        sequence, prompt = self.sequence, self.prompt
        seed = sequence.sampler.seed if sequence.sampler else 0
        n_prompt = len(sequence.prompt)
        return GenerationStarted(
            sequence.request_id,
            n_prompt,
            sequence.n_cached,
            prompt.spans,
            seed,
            (*prompt.notices, *sequence.notices),
            sequence.n_restored,
            sequence.n_shared,
        )

    def trace(self, sampled: Sampled) -> TokenTrace:
        """The token's trace as it goes over the wire."""
        measured, vocab = sampled.measured, self._vocab
        return TokenTrace(
            sampled.token,
            piece_text(vocab, sampled.token),
            sampled.ms,
            measured.p,
            measured.logprob,
            measured.rank,
            measured.entropy,
            tuple(TopToken(token, piece_text(vocab, token), p) for token, p in measured.top),
            sampled.origin,
            sampled.report.stages if sampled.report else (),
            sampled.report.draw if sampled.report else None,
        )

    def finished(self, now_s: float, load_ms: float) -> GenerationFinished:
        """The last event of the request."""
        sequence = self.sequence
        reason = sequence.finish_reason or FinishReason.ERROR
        return GenerationFinished(
            sequence.request_id,
            reason,
            sequence.usage(),
            sequence.timings(now_s, load_ms),
            self.stop if reason is FinishReason.STOP else None,
            sequence.error,
            drafting=sequence.speculation.counts() if sequence.speculation else None,
            cells=sequence.cells,
        )
