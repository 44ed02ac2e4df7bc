"""The text side of one request: token ids in, text, traces and the final event out."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.domain.generation import FinishReason, Stop, Thinking
from app.domain.sampling import is_constrained
from app.domain.trace import TokenTrace
from app.engine.core.events import Held, Sampled
from app.engine.core.sequence import Sequence
from app.engine.core.thinking import TwoSets
from app.engine.requests.prompting import Fitted
from app.engine.requests.wire import prediction, token_trace, top_tokens
from app.engine.text.detokenizer import Detokenizer, StopScanner
from app.engine.text.thinking_finder import ThinkingFinder
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
        finder: ThinkingFinder | None = None,
        include_prompt: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`finder`: finds the thinking; None for a reply that cannot have any."""
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
        self._finder = finder
        self._n_thought, self._thought_ms = 0, 0.0
        """Tokens before the answer, and the time between the first of them and the last."""
        self._undecided: str = ""
        """Text withheld because it may begin a mark of the thinking."""
        self._n_out = len(self._parts[0])
        """Characters of the reply that the app has."""
        if finder is not None:
            finder.push(self._parts[0])
            self._n_thought = 0 if finder.in_answer else len(self.kept)
        self._n_known = self._stops.hold(self._parts[0])
        """Characters of the kept text that the scanner withholds and will return again."""

    @property
    def text(self) -> str:
        """The text of the reply so far, the kept beginning included."""
        return "".join(self._parts)

    @property
    def thinking(self) -> Thinking | None:
        """The thinking in the text that the app has; None if there is none."""
        span = self._finder.span(self._n_out) if self._finder is not None else None
        return Thinking(*span, self._n_thought, round(self._thought_ms, 3)) if span else None

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
            self._think(text, sampled.ms)
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
        if self._finder is not None:
            self._finder.finish()
        return self._new(self._stops.flush())

    def _think(self, text: str, ms: float) -> None:
        """Looks for thinking in the text of the next token, which took `ms`."""
        if self._finder is None or self._finder.in_answer:
            return
        self._finder.push(text)
        if not self._finder.in_answer:
            self._thought_ms += ms if self.n_tokens > 1 else 0.0
            self._n_thought += 1

    def _new(self, text: str) -> str:
        """Returns the part of the scanner's text that the app does not have yet, and adds it to the reply."""
        if self._n_known:
            n_known = min(self._n_known, len(text))
            self._n_known -= n_known
            text = text[n_known:]
        text = self._undecided + text
        n_held = min(len(text), self._finder.n_undecided) if self._finder is not None else 0
        text, self._undecided = text[: len(text) - n_held], text[len(text) - n_held :]
        self._parts.append(text)
        self._n_out += len(text)
        return text

    def started(self) -> GenerationStarted:
        """Returns the first event of the request, once it has its slot."""
        sequence, prompt = self.sequence, self.prompt
        if is_constrained(sequence.params) and not isinstance(sequence.sampler, TwoSets):
            self._finder = None  # all of it follows the grammar
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
