"""One request inside the loop: its tokens and counts, its clock, its hold, and the facts of its cache."""

from __future__ import annotations

from collections import deque
from dataclasses import InitVar, dataclass, field
from enum import Enum
from itertools import islice, pairwise

from app.domain.generation import CellSpan, FinishReason, PromptSpans, Timings, Usage
from app.domain.sampling import SamplingParams
from app.engine.core.backend import AdapterSet, Logits, Sampler
from app.engine.core.slots import Slot
from app.engine.core.speculation import Speculation
from app.engine.core.thinking import ThinkingBlock


class SequencePhase(Enum):
    """State of a sequence."""

    WAITING = "waiting"
    PREFILL = "prefill"
    DECODE = "decode"
    HELD = "held"
    """The logits are ready and no token has been chosen yet."""
    FINISHED = "finished"


@dataclass(eq=False)
class SequenceClock:
    """When a sequence arrived, started and sampled, in seconds of the engine's monotonic clock; stops while held."""

    arrived_s: float
    started_s: float = 0.0
    """When the prefill began; 0 before."""
    computed_s: float = 0.0
    """When the logits of the next token were ready."""
    decode_ms: float = 0.0
    """Time of computing since the last token, in ms."""
    held_s: float | None = None
    """Start of the present hold; None while it runs."""
    paused_s: float = 0.0
    """Total time of earlier holds."""
    token_times_s: list[float] = field(default_factory=list[float])

    def lived(self, now_s: float) -> float:
        """Returns `now_s` without the time that the sequence was held."""
        return (now_s if self.held_s is None else self.held_s) - self.paused_s

    def tick(self, now_s: float) -> float:
        """Records a token; returns the milliseconds since the previous one or since the arrival."""
        now_s = self.lived(now_s)
        since = self.token_times_s[-1] if self.token_times_s else self.arrived_s
        self.token_times_s.append(now_s)
        return (now_s - since) * 1e3

    def release(self, now_s: float) -> None:
        """Restarts after a hold."""
        self.paused_s = now_s - self.lived(now_s)
        self.held_s = None

    def timings(self, now_s: float, load_ms: float, n_new: int) -> Timings:
        """Returns the times so far. `now_s` ends an unfinished prefill of `n_new` tokens."""
        times, now_s = self.token_times_s, self.lived(now_s)
        if not self.started_s:
            return Timings(load_ms=load_ms, queue_ms=(now_s - self.arrived_s) * 1e3)
        prefill_ms = ((times[0] if times else now_s) - self.started_s) * 1e3
        decode_ms = (times[-1] - times[0]) * 1e3 if times else 0.0
        gaps = sorted((b - a) * 1e3 for a, b in pairwise(times))
        return Timings(
            load_ms=load_ms,
            queue_ms=(self.started_s - self.arrived_s) * 1e3,
            prefill_ms=prefill_ms,
            ttft_ms=(times[0] - self.arrived_s) * 1e3 if times else 0.0,
            decode_ms=decode_ms,
            prefill_tps=n_new / prefill_ms * 1e3 if prefill_ms and times else 0.0,
            decode_tps=len(gaps) / decode_ms * 1e3 if decode_ms else 0.0,
            p50_ms=_percentile(gaps, 0.50),
            p95_ms=_percentile(gaps, 0.95),
        )


@dataclass(eq=False)
class HoldState:
    """When a sequence is held before its next token."""

    n_left: int | None = None
    """Tokens to sample before the hold; None never holds."""
    released: bool = False
    """Whether a held sequence continues with the next step."""
    logits: Logits | None = None
    """The logits to choose from after the hold."""


@dataclass(eq=False)
class CacheFacts:
    """Facts about a sequence's cells in the KV cache."""

    cacheable: bool = False
    """Whether its tokens and cells may be saved to disk."""
    conversation: int = 0
    """Conversation of its saved cells; 0 if none."""
    n_cached: int = 0
    """Prompt tokens that were not computed."""
    n_restored: int = 0
    """Cached tokens from a saved state."""
    n_shared: int = 0
    """Cached tokens copied from another slot or shared with it."""
    moved: bool = False
    """Whether the cached cells were copied from another context."""
    notices: list[str] = field(default_factory=list[str])
    """Messages for the user about the cache."""
    cells: tuple[CellSpan, ...] = ()
    """The map of its window at its end."""
    reported: tuple[object, ...] = ()
    """The map's state at the last report."""


@dataclass(eq=False)
class Sequence:
    """A request's tokens, counts and limits. Only `accept` adds tokens."""

    request_id: int
    prompt: list[int]
    params: SamplingParams
    trace_top_k: int
    arrived_s: InitVar[float]
    speculate: bool = False
    trace_stages: bool = False
    spans: PromptSpans = field(default_factory=PromptSpans)
    shift: bool = False
    """Whether a full window is shifted; otherwise the reply ends."""
    phase: SequencePhase = SequencePhase.WAITING
    slot: Slot | None = None
    sampler: Sampler | None = None
    speculation: Speculation | None = None
    adapters: AdapterSet = ()
    """The adapters of its cells; known once it is considered for a slot."""
    block: ThinkingBlock | None = None
    """Finds where the parameters for thinking apply; None if there are none."""
    cache: CacheFacts = field(default_factory=CacheFacts)
    held: HoldState = field(default_factory=HoldState)
    clock: SequenceClock = field(init=False)
    block_reported: bool = False
    """Whether it was reported as waiting for held sequences."""
    stops: list[int] = field(default_factory=list[int])
    """Position where a chunk of its prefill must end."""
    n_kept: int = 0
    """Number of last tokens of the prompt that begin the reply, kept from an older one."""
    forced: deque[int] = field(default_factory=deque[int])
    """Forced tokens that come next."""
    n_shifted: int = 0
    """Number of tokens that shifts have forgotten."""
    generated: list[int] = field(default_factory=list[int])
    finish_reason: FinishReason | None = None
    stop_token: int | None = None
    error: str = ""
    incomplete: bool = False
    """Whether it ended inside its grammar."""

    def __post_init__(self, arrived_s: float) -> None:
        self.clock = SequenceClock(arrived_s)

    @property
    def n_past(self) -> int:
        """Tokens of this sequence in the KV cache."""
        return len(self.slot.tokens) if self.slot else 0

    @property
    def n_to_stop(self) -> int:
        """Maximum number of tokens of its next chunk."""
        n_past = self.n_past
        return min((stop for stop in self.stops if stop > n_past), default=len(self.known)) - n_past

    @property
    def n_new(self) -> int:
        """Prompt tokens that had to be computed."""
        return len(self.prompt) - self.cache.n_cached

    @property
    def n_lost(self) -> int:
        """Tokens that a decoding sequence lost from the cache and recomputes first."""
        if self.phase is not SequencePhase.DECODE:
            return 0
        return len(self.prompt) + len(self.generated) - 1 - self.n_shifted - self.n_past

    @property
    def waits(self) -> bool:
        """Whether it is held and not resumed."""
        return self.phase is SequencePhase.HELD and not self.held.released

    def pause(self) -> None:
        """Holds it before its next token; no effect if already held."""
        if not self.waits:
            self.held.n_left = 0

    def resume(self, n_tokens: int | None) -> None:
        """Continues a held sequence with the next step for `n_tokens` tokens; None continues to its end."""
        self.held.n_left, self.held.released = n_tokens, True

    def hold(self, logits: Logits, now_s: float) -> None:
        """Keeps a copy of the logits to choose from later, and stops the clock."""
        self.phase = SequencePhase.HELD
        self.held.released, self.held.logits, self.clock.held_s = False, logits.copy(), now_s

    def release(self, now_s: float) -> Logits:
        """Returns the logits that `hold` kept, and starts the clock again."""
        logits = self.held.logits
        assert logits is not None
        self.clock.release(now_s)
        self.held.logits = None
        return logits

    @property
    def known(self) -> list[int]:
        """The tokens that must be in the cache before the next one is sampled."""
        return [*self.prompt, *self.generated[:-1]] if self.phase is SequencePhase.DECODE else self.prompt

    def propose(self, longest: int) -> list[int]:
        """Returns a draft of at most `longest` tokens, within `max_tokens`."""
        if self.speculation is None or self.held.n_left is not None or self.forced or self.n_shifted:
            return []  # the drafter does not shift its window
        tokens = self.speculation.propose(self._within_limit(longest))
        return tokens[: self.sampler.n_fitting(tokens)] if tokens and self.sampler else tokens

    def forced_run(self, longest: int) -> list[int]:
        """Returns at most `longest` forced tokens to compute together, up to a pause or the limit."""
        n = self._within_limit(longest if self.held.n_left is None else min(longest, self.held.n_left))
        return list(islice(self.forced, max(0, n)))

    def _within_limit(self, longest: int) -> int:
        """Returns `longest`, or fewer so that one more token still fits in `max_tokens`."""
        return min(longest, self.params.max_tokens - len(self.generated) - 1) if self.params.max_tokens else longest

    def accept(self, token: int, now_s: float) -> float:
        """Appends a sampled token; returns the milliseconds since the previous one or since the arrival."""
        self.generated.append(token)
        return self.clock.tick(now_s)

    def cut(self, n_generated: int) -> None:
        """Removes drafted tokens after a stop string; the cache keeps them."""
        del self.generated[n_generated:], self.clock.token_times_s[n_generated:]

    def stop_at(self, n_generated: int) -> None:
        """Ends the sequence at a complete stop string; this overrides an end by a later token of the same step."""
        self.cut(n_generated)
        self.phase, self.finish_reason, self.stop_token, self.error = (
            SequencePhase.FINISHED,
            FinishReason.STOP,
            None,
            "",
        )

    def finish(self, reason: FinishReason, stop_token: int | None = None, error: str = "") -> None:
        """Ends the sequence; the first reason stays."""
        if self.phase is not SequencePhase.FINISHED:
            self.phase = SequencePhase.FINISHED
            self.finish_reason, self.stop_token, self.error = reason, stop_token, error

    def usage(self) -> Usage:
        """The counts so far."""
        return Usage(len(self.prompt), self.cache.n_cached, len(self.generated))

    def timings(self, now_s: float, load_ms: float) -> Timings:
        """Returns the times so far; see `SequenceClock.timings`."""
        return self.clock.timings(now_s, load_ms, self.n_new)


def _percentile(ordered: list[float], q: float) -> float:
    """Nearest-rank percentile of sorted values; 0 if there are none."""
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else 0.0
