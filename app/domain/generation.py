"""The figures of one generation: why it ended, token counts, the duration of each phase.

The engine's monotonic clock measures every duration. What a server does not measure is measured by the app and marked
(`Timings.app_clock`), or 0.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

ContextPolicy = Literal["stop", "drop-oldest-turns", "shift"]
"""What happens when a conversation outgrows the context window; each is reported.

`stop`: the reply ends with `FinishReason.CONTEXT`. `drop-oldest-turns`: whole turns are left out of the prompt, oldest
first, never the system prompt or the last message. `shift`: the same, and when a reply fills the window, the engine
forgets the older half of what follows the system prompt and continues.
"""


class FinishReason(StrEnum):
    """Why a reply ended."""

    STOP = "stop"
    """An end-of-generation token or a stop string: `Stop` says which."""
    LENGTH = "length"
    """`max_tokens` was reached."""
    CONTEXT = "context"
    """The context window is full."""
    ABORT = "abort"
    """The user or the app stopped it; the text so far is kept."""
    ERROR = "error"
    """It failed or the engine was lost; the text so far is kept."""


class Stop(Struct, frozen=True, array_like=True):
    """What ended a reply with `FinishReason.STOP`."""

    kind: str
    """`eog` (a token of the model's end-of-generation set) or `string`."""
    text: str
    """The token's text (as in `<|im_end|>`) or the stop string."""
    token_id: int | None = None


class Usage(Struct, frozen=True, array_like=True):
    """Token counts of one request."""

    n_prompt: int = 0
    """Tokens of the rendered prompt, cached ones included."""
    n_cached: int = 0
    """Prompt tokens found in the KV cache and not computed again."""
    n_generated: int = 0
    """Tokens sampled, the end-of-generation token included."""


class Timings(Struct, frozen=True, array_like=True):
    """Durations in milliseconds and rates in tokens per second, by the engine's clock."""

    load_ms: float = 0.0
    """Loading the model; 0 if it was loaded before the request arrived."""
    queue_ms: float = 0.0
    """From the request's arrival until its prefill began."""
    prefill_ms: float = 0.0
    """Computing the prompt tokens that were not cached."""
    ttft_ms: float = 0.0
    """From the request's arrival until its first token was sampled."""
    decode_ms: float = 0.0
    """From the first token to the last: `n_generated - 1` steps."""
    prefill_tps: float = 0.0
    """(n_prompt - n_cached) / prefill_ms."""
    decode_tps: float = 0.0
    """(n_generated - 1) / decode_ms."""
    p50_ms: float = 0.0
    """Median time between two tokens."""
    p95_ms: float = 0.0
    """95th percentile of the time between two tokens."""
    app_clock: tuple[str, ...] = ()
    """Names of the figures above that the app measured on its side of a network; the others are the engine's."""


class Thinking(Struct, frozen=True, array_like=True):
    """The thinking at the beginning of a reply; offsets are characters of the reply's text, marks included."""

    start: int
    end: int
    """End of the thinking, without its closing mark."""
    answer: int
    """Where the answer begins; the end of the text while there is none."""
    n_tokens: int = 0
    """Tokens before the answer, those of the marks included."""
    ms: float = 0.0
    """From the first of these tokens to the last."""

    def within(self, n_chars: int, n_tokens: int) -> Thinking | None:
        """Returns the thinking of the text's first `n_chars` characters, which are `n_tokens` tokens; None if none."""
        if n_chars >= self.answer:
            return self
        if n_chars <= self.start:
            return None
        return replace(self, end=min(self.end, n_chars), answer=n_chars, n_tokens=n_tokens)


class DraftCounts(Struct, frozen=True, array_like=True):
    """Counts of speculative decoding in one request; rejected drafts cost time but never change the text."""

    n_steps: int = 0
    """Decodes that carried a draft."""
    n_drafted: int = 0
    n_accepted: int = 0
    drafted_at: tuple[int, ...] = ()
    """By position in the draft: how often a token was there and all before it were accepted."""
    accepted_at: tuple[int, ...] = ()


class PromptSpans(Struct, frozen=True, array_like=True):
    """How the prompt's tokens divide; the parts sum to `Usage.n_prompt`."""

    n_system: int = 0
    """The system prompt with its template text."""
    n_history: int = 0
    """Earlier turns."""
    n_turn: int = 0
    """The last user message and the generation prompt."""

    @property
    def n_tokens(self) -> int:
        """All of them."""
        return self.n_system + self.n_history + self.n_turn


class CellSpan(Struct, frozen=True, array_like=True):
    """Consecutive cells of a context window."""

    kind: str
    """`system`, `earlier` (turns; the oldest are dropped next), `prompt` (this turn), `reply` or `free`."""
    n_tokens: int
    source: str = ""
    """How the cells were filled: `computed` (by this request), `reused` (in the cache already), `restored` (read
    from disk, by this request or an earlier one), `copied` (from another slot), `shared` (with a parallel reply)."""
    ms: float = 0.0
    """Time spent computing them; 0 if they were not computed."""
    first_at: float = 0.0
    """When the first of them was computed, or read from disk if `restored`: Unix seconds; 0 if unknown."""
    last_at: float = 0.0
    """The same for the last one."""
    n_sharers: int = 0
    """Number of other sequences that hold the same cells now: parallel replies to one prompt."""
