"""How the tokens of a context window divide, in counts and cell by cell. Pure.

While a reply runs its cells are computed from its events, and the engine's last map gives the times and
who shares them; in the end they are the engine's own account.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from app.domain.generation import CellSpan, PromptSpans


@dataclass(frozen=True)
class ContextUse:
    """How the tokens of a context window divide."""

    n_ctx: int
    n_system: int
    n_history: int
    n_turn: int
    n_reply: int
    n_undivided: int = 0
    """Prompt tokens of which only the total is known."""

    @property
    def n_used(self) -> int:
        """Tokens that are not free."""
        return self.n_system + self.n_history + self.n_turn + self.n_reply + self.n_undivided

    @property
    def n_free(self) -> int:
        """Tokens left, never below 0."""
        return max(0, self.n_ctx - self.n_used)

    @property
    def fraction(self) -> float:
        """The part in use, 0 to 1."""
        return min(1.0, self.n_used / self.n_ctx) if self.n_ctx else 0.0


def without_lost(counts: Sequence[int], n_lost: int) -> list[int]:
    """Returns the counts after the first `n_lost` of all were forgotten."""
    left: list[int] = []
    for n in counts:
        left.append(max(0, n - n_lost))
        n_lost = max(0, n_lost - n)
    return left


@dataclass(frozen=True)
class WindowState:
    """What is known of a window while a reply is made."""

    n_prompt: int
    n_cached: int
    source: str
    """Of the cached tokens, as in `CellSpan.source`."""
    n_prefilled: int
    prefill_ms: float
    n_generated: int
    decode_ms: float
    n_shifted: int
    n_kept: int = 0
    """The last of the prompt's tokens, with which the reply begins."""


def live_cells(held: WindowState, spans: PromptSpans, n_ctx: int) -> tuple[CellSpan, ...]:
    """Returns the spans of a window of `n_ctx` cells, none empty; their counts sum to `n_ctx` where all fits."""
    per_token = held.prefill_ms / held.n_prefilled if held.n_prefilled else 0.0
    # The token that was sampled last has no cell before the next step.
    n_reply = max(0, held.n_generated - 1)
    n_computed = held.n_cached + held.n_prefilled
    parts: list[CellSpan] = []
    start = 0
    turn = ("prompt", spans.n_turn - held.n_kept), ("reply", held.n_kept)
    for kind, n in (("system", spans.n_system), ("earlier", spans.n_history), *turn):
        end = start + n
        border = min(max(start, held.n_cached), end)
        n_new = max(0, min(end, n_computed) - border)
        parts += [
            CellSpan(kind, border - start, held.source),
            CellSpan(kind, n_new, "computed", n_new * per_token),
        ]
        start = end
    parts.append(CellSpan("reply", n_reply, "computed", held.decode_ms))
    n_system = [part.n_tokens for part in parts[:2]]
    counts = [*n_system, *without_lost([part.n_tokens for part in parts[2:]], held.n_shifted)]
    left = [CellSpan(part.kind, n, part.source, part.ms) for part, n in zip(parts, counts, strict=True)]
    return tuple(part for part in (*left, CellSpan("free", max(0, n_ctx - sum(counts)))) if part.n_tokens)


def with_account(reckoned: Sequence[CellSpan], reported: Sequence[CellSpan]) -> tuple[CellSpan, ...]:
    """Returns the computed spans with the sources, times and sharers that the engine's map has for their first cells.

    What was computed since then has no time yet: a span still being computed has `last_at` 0.
    """
    known = [span for span in reported if span.kind != "free"]
    ends = [0, *accumulate(span.n_tokens for span in known)]
    spans: list[CellSpan] = []
    start = 0
    for part in reckoned:
        end = start + part.n_tokens
        borders = [start, *(at for at in ends[1:] if start < at < end), end]
        for low, high in pairwise(borders):
            ms = part.ms * (high - low) / part.n_tokens
            made = CellSpan(part.kind, high - low, part.source, ms)
            if part.kind != "free" and low < ends[-1]:
                fact = known[next(i for i, at in enumerate(ends[1:]) if low < at)]
                made = CellSpan(part.kind, high - low, fact.source, ms, fact.first_at, fact.last_at, fact.n_sharers)
            spans.append(made)
        start = end
    return tuple(_joined(spans))


def _joined(spans: Sequence[CellSpan]) -> list[CellSpan]:
    """Reported cells and, in the same span, cells that were computed right after them."""
    joined: list[CellSpan] = []
    for span in spans:
        last = joined[-1] if joined else None
        if last and last.first_at and not span.first_at and _is_own(last, span.kind) and span.source == "computed":
            n, ms = last.n_tokens + span.n_tokens, last.ms + span.ms
            joined[-1] = CellSpan(last.kind, n, last.source, ms, last.first_at)
        else:
            joined.append(span)
    return joined


def _is_own(span: CellSpan, kind: str) -> bool:
    return (span.kind, span.source, span.n_sharers) == (kind, "computed", 0)
