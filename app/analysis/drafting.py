"""What drafting did to one reply, and whether it paid: steps with drafts held against plain steps of the same reply.

A step is what one decode brought: the drafted tokens that were accepted, and the sampled one that ends it.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.domain import units
from app.domain.generation import DraftCounts
from app.domain.trace import Origin, TokenTrace

ENOUGH_DRAFTS, ENOUGH_PLAIN = 8, 4
"""Steps of each kind from which their times are compared; where all drafts pay, plain ones are made now and then."""


@dataclass(frozen=True)
class Gain:
    """The reply's time against the time that it would have taken without drafts."""

    plain_ms: float
    """Of one token in a plain step."""
    drafted_ms: float
    """Of one token in a step with a draft."""
    saved_ms: float
    """Below 0 is a loss."""
    ratio: float
    """How many times as fast as without drafts; below 1 is a loss."""


class Drafting:
    """A fold over the tokens of one reply; O(1) a token."""

    def __init__(self) -> None:
        self.asked: bool | None = None
        """Whether the reply was asked for with speculation; None until it ends or a draft is seen."""
        self.counts = DraftCounts()
        """As of the last `count`: live ones from the tokens, the engine's own in the end."""
        self.n_bonus = 0
        self.n_plain = self.n_in_drafts = self.n_timed_steps = 0
        """Tokens of plain steps, tokens of steps with drafts, and how many steps these were; timed ones alone."""
        self.plain_ms = self.drafts_ms = 0.0
        self._n_steps = 0
        self._drafted_at: list[int] = []
        self._accepted_at: list[int] = []
        self._run, self._run_ms = 0, 0.0
        self._final: DraftCounts | None = None

    @property
    def n_rejected(self) -> int:
        """Drafted tokens that did not come."""
        return self.counts.n_drafted - self.counts.n_accepted

    @property
    def mean_accepted(self) -> float | None:
        """Accepted tokens of a draft on average; None without drafts."""
        return self.counts.n_accepted / self.counts.n_steps if self.counts.n_steps else None

    @property
    def acceptance(self) -> tuple[float, ...]:
        """By position in the draft: the share of the tokens there that were accepted, once those before them were."""
        pairs = zip(self.counts.drafted_at, self.counts.accepted_at, strict=True)
        return tuple(accepted / drafted if drafted else 0.0 for drafted, accepted in pairs)

    @property
    def gain(self) -> Gain | None:
        """What drafting gained; None while there are too few steps of either kind to know."""
        if self.n_plain < ENOUGH_PLAIN or self.n_timed_steps < ENOUGH_DRAFTS:
            return None
        plain_ms = self.plain_ms / self.n_plain
        n_tokens, total_ms = self.n_plain + self.n_in_drafts, self.plain_ms + self.drafts_ms
        if not total_ms:
            return None
        saved_ms = self.n_in_drafts * plain_ms - self.drafts_ms
        return Gain(plain_ms, self.drafts_ms / self.n_in_drafts, saved_ms, n_tokens * plain_ms / total_ms)

    @property
    def gain_words(self) -> str:
        """What drafting gained or cost, or why that is unknown, in a few words."""
        gain = self.gain
        if gain is not None:
            kind, saved = ("gain", "saved") if gain.saved_ms >= 0 else ("loss", "cost")
            return f"{kind} ×{gain.ratio:.2f}: {saved} {units.ms(abs(gain.saved_ms))}"
        if not self.counts.n_steps:
            return "no gain: nothing drafted"
        few = "plain steps" if self.n_plain < ENOUGH_PLAIN else "drafts"
        return f"gain unknown: not enough {few}"

    def token(self, token: TokenTrace, timed: bool) -> None:
        """Takes the next token. `timed`: its time is a step's, not the wait for the first token."""
        self._run_ms += token.ms
        if token.origin is Origin.DRAFT:
            self._run += 1
            return
        n_accepted, ghosts, ms = self._run, len(token.ghosts), self._run_ms
        self._run, self._run_ms = 0, 0.0
        n_tokens = n_accepted + 1
        if n_accepted or ghosts:
            self._n_steps += 1
            self.n_bonus += token.origin is Origin.BONUS
            self._at(n_accepted, ghosts)
            if timed:
                self.n_timed_steps += 1
                self.n_in_drafts += n_tokens
                self.drafts_ms += ms
        elif timed and token.origin is not Origin.FORCED:
            self.n_plain += 1
            self.plain_ms += ms

    def finished(self, counts: DraftCounts | None) -> None:
        """Takes the engine's own counts in place of those of the tokens."""
        self.asked = counts is not None
        if counts is not None:
            self.counts = counts

    def _at(self, n_accepted: int, n_ghosts: int) -> None:
        n_reached = n_accepted + (n_ghosts > 0)
        missing = n_accepted + n_ghosts - len(self._drafted_at)
        self._drafted_at += [0] * missing
        self._accepted_at += [0] * missing
        for at in range(n_reached):
            self._drafted_at[at] += 1
            self._accepted_at[at] += at < n_accepted
        self.asked = True
        before = self.counts
        self.counts = DraftCounts(
            self._n_steps,
            before.n_drafted + n_accepted + n_ghosts,
            before.n_accepted + n_accepted,
            tuple(self._drafted_at),
            tuple(self._accepted_at),
        )
