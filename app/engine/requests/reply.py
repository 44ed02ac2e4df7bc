"""The text side of one request: token ids in, text, traces and the final event out."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.domain.generation import FinishReason, Stop
from app.domain.trace import TokenTrace
from app.engine.core.events import Held, Sampled
from app.engine.core.sequence import Sequence
from app.engine.requests.prompting import Fitted
from app.engine.requests.wire import prediction, token_trace, top_tokens
from app.engine.text.detokenizer import Detokenizer, StopScanner
from app.engine.text.tokenizer import Vocab, piece_text
from app.protocol.events import GenerationFinished, GenerationStarted, Paused


class Reply:
    """Detokenises a reply, withholds possible stop strings and keeps the whole text, its kept beginning included."""

    def __init__(
        self,
        sequence: Sequence,
        fitted: Fitted,
        vocab: Vocab,
        *,
        include_prompt: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        prompt = fitted.prompt
        self.fitted = fitted
        self.sequence = sequence
        self.prompt = prompt
        self.include_prompt = include_prompt
        self.stop: Stop | None = None
        self.n_tokens = 0
        """Number of tokens of the reply without the kept ones."""
        self.busy_ms = 0.0
        """Total sending time of the worker at the last token, or at the start or resumption of the request."""
        self.kept = prompt.ids[len(prompt.ids) - prompt.n_kept :]
        self._vocab = vocab
        self._clock = clock
        self._detokenizer = Detokenizer(vocab, strip_space=prompt.strip_space)
        self._stops = StopScanner(sequence.params.stop)
        self._parts = [self._detokenizer.push(self.kept)]
        self._n_thought = self._n_out = 0
        """Characters of thinking so far, and characters released so far."""
        self.n_thinking = 0
        """Leading characters of thinking in the text that `take` or `flush` last returned."""
        self._n_known = self._stops.hold(self._parts[0])
        """Characters of the kept text that the scanner withholds and will return again."""

    @property
    def text(self) -> str:
        """The text of the reply so far, the kept beginning included."""
        return "".join(self._parts)

    @property
    def at_start(self) -> bool:
        """Whether there is no text yet, so that the vocabulary's own space is left out."""
        return self._detokenizer.at_start

    def take(self, sampled: Sampled, busy_ms: float = 0.0) -> tuple[str, TokenTrace]:
        """Takes a token; returns the text that it completes and its trace. Sets `stop` if it completes a stop string.

        `busy_ms`: total sending time of the worker so far.
        """
        began_s, vocab = self._clock(), self._vocab
        self.n_tokens += 1
        shown, n_bytes = "", 0
        if sampled.token in vocab.eog:
            self.stop = Stop("eog", piece_text(vocab, sampled.token), sampled.token)
        else:
            text = self._detokenizer.push((sampled.token,))
            n_bytes = len(text) if text.isascii() else len(text.encode())
            self._n_thought += len(text) if sampled.thinking else 0
            shown, matched = self._stops.push(text)
            if matched is not None:
                self.stop = Stop("string", matched)
            shown = self._new(shown)
        top = top_tokens(vocab, sampled.measured.top)
        text_ms = (self._clock() - began_s) * 1e3 + busy_ms - self.busy_ms
        self.busy_ms = busy_ms
        return shown, token_trace(vocab, sampled, n_bytes, top, text_ms)

    def flush(self) -> str:
        """Returns the text withheld for a stop string that did not follow."""
        return self._new(self._stops.flush())

    def _new(self, text: str) -> str:
        """Returns the part of the scanner's text that the app does not have yet, and adds it to the reply."""
        if self._n_known:
            n_known = min(self._n_known, len(text))
            self._n_known -= n_known
            text = text[n_known:]
        self._parts.append(text)
        self.n_thinking = min(len(text), max(0, self._n_thought - self._n_out))
        self._n_out += len(text)
        return text

    def started(self) -> GenerationStarted:
        """Returns the first event of the request, once it has its slot."""
        sequence, prompt = self.sequence, self.prompt
        seed = sequence.sampler.seed if sequence.sampler else 0
        n_prompt = len(sequence.prompt)
        return GenerationStarted(
            sequence.request_id,
            n_prompt,
            sequence.cache.n_cached,
            prompt.spans,
            seed,
            (*prompt.notices, *sequence.cache.notices),
            sequence.cache.n_restored,
            sequence.cache.n_shared,
            sequence.n_kept,
        )

    def paused(self, held: Held) -> Paused:
        """Returns the event for a request that is held before its next token."""
        sequence = self.sequence
        return Paused(sequence.request_id, len(sequence.generated), prediction(self._vocab, held.preview))

    def ids(self, without: frozenset[int]) -> list[int]:
        """Returns all tokens of the reply, the kept ones first, except those in `without`."""
        return [token for token in (*self.kept, *self.sequence.generated) if token not in without]

    def finished(self, now_s: float, load_ms: float) -> GenerationFinished:
        """Returns the last event of the request."""
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
            cells=sequence.cache.cells,
            incomplete=sequence.incomplete,
        )
