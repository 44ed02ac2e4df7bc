"""Chooses the length of drafts from their acceptance and from the measured cost of a batch.

Acceptance is learnt even while nothing is drafted, by comparing an unused draft with the sampled tokens.
The choice maximises expected tokens per millisecond (Leviathan et al. 2023, §3.4, with the measured cost curve).
"""

from __future__ import annotations

from collections import Counter

from app.domain.generation import DraftCounts
from app.engine.core.costs import PRIOR_SLOPE, CostCurve
from app.engine.core.draft import MODEL, NO_DRAFT, Draft, Drafter
from app.engine.core.slots import common_prefix

LONGEST_DRAFT = 15
_LENGTHS = (1, 3, 7, 15)
"""Draft lengths in use: few shapes, so that llama.cpp can reuse its graphs."""
_SMOOTHING = 0.03
_PRIOR_WEIGHT = 3
_PRIOR = {MODEL: 0.8, 0: 0.3, 2: 0.3, 3: 0.4, 4: 0.5, 6: 0.6, 9: 0.75, 16: 0.85, 32: 0.9}
"""Initial chance that a drafted token is accepted, by the confidence of its draft."""
_PRIOR_OFFERED = 0.9
_MARGIN = 1.05
_SHADOW = 4
_FIRST_ASKS = 8
"""Number of short drafts from a drafter that costs time before its benefit is judged."""
_PROBE_EVERY = 96
_PROBE_SHARE = 0.1
_PROBE = 3
"""A draft model that does not pay is tried again after this many tokens, then after twice as many, and so on, if its
tokens cost less than this share, because it must first catch up. It is never tried if even perfect drafts would not
pay."""
_DOUBT_EVERY = 8
"""The cost of batches may be wrong: measured at a bad moment, or only estimated. So a looked-up draft that would pay at
the usual cost is tried after this many steps without one, then after twice as many, and so on."""
_PLAIN_EVERY = 12
"""If every step has a draft, the cost of a plain step is unknown. So some steps have none, more often at first, to know
the gain of short replies too."""


class Speculation:
    """Chooses drafts for one sequence; `verified` compares them with the sampler's choices."""

    def __init__(self, drafter: Drafter, costs: CostCurve) -> None:
        self.n_steps = self.n_drafted = self.n_accepted = 0
        self.drafted_at = [0] * LONGEST_DRAFT
        self.accepted_at = [0] * LONGEST_DRAFT
        self._drafter = drafter
        self._costs = costs
        self._accepted = dict(_PRIOR)
        """Chance that a drafted token is accepted if those before it were, by confidence."""
        self._n_seen: Counter[int] = Counter()
        self._offered, self._n_offers = _PRIOR_OFFERED, 0
        """Chance that a drafter that costs time continues its draft with another token."""
        self._live = NO_DRAFT
        self._shadow = NO_DRAFT
        """An unused draft, for comparison with the next tokens."""
        self._shadow_at = 0
        self._n_idle = self._n_asked = 0
        self._probe_at = _PROBE_EVERY
        self._n_doubted, self._doubt_at = 0, _DOUBT_EVERY
        self._n_since_plain = self._n_plain = 0

    def counts(self) -> DraftCounts:
        """The counts so far, without positions that were never drafted."""
        used = LONGEST_DRAFT - next((i for i, n in enumerate(reversed(self.drafted_at)) if n), LONGEST_DRAFT)
        at = (tuple(self.drafted_at[:used]), tuple(self.accepted_at[:used]))
        return DraftCounts(self.n_steps, self.n_drafted, self.n_accepted, *at)

    def begin(self, tokens: list[int]) -> None:
        """Passes the prompt to the drafter."""
        self._drafter.accept(tokens)

    def propose(self, limit: int) -> list[int]:
        """Returns the draft for the next decode, at most `limit` tokens; empty if none is expected to pay."""
        if limit < 1 or self._shadow.tokens:
            return []
        tokens: list[int] = []
        if self._n_since_plain < min(_PLAIN_EVERY, 2 + 2 * self._n_plain):
            tokens = self._ask(limit) if self._drafter.costs_time else self._look_up(limit)
        self._n_since_plain = self._n_since_plain + 1 if tokens else 0
        self._n_plain += not tokens
        return tokens

    def _look_up(self, limit: int) -> list[int]:
        """The draft of a drafter that costs no time."""
        draft = self._drafter.draft(min(limit, LONGEST_DRAFT))
        if not draft.tokens:
            return []
        accepted = self._accepted[draft.confidence]
        n = self._best_length(len(draft.tokens), accepted) or self._doubt(len(draft.tokens), accepted)
        if n:
            self._live = Draft(draft.tokens[:n], draft.confidence)
            return self._live.tokens
        self._shadow = Draft(draft.tokens[:_SHADOW], draft.confidence)
        self._shadow_at = 0
        return []

    def _doubt(self, available: int, accepted: float) -> int:
        """Length of a trial draft that is not expected to pay, to measure its cost; mostly 0."""
        n = min(available, _PROBE)
        if sum(accepted**i for i in range(n + 1)) < _MARGIN * (1 + PRIOR_SLOPE * n):
            return 0
        self._n_doubted += 1
        if self._n_doubted < self._doubt_at:
            return 0
        self._n_doubted, self._doubt_at = 0, 2 * self._doubt_at
        return n

    def _ask(self, limit: int) -> list[int]:
        """The draft of a drafter that costs time; its length is chosen first."""
        if not self._costs.single_ms:
            return []
        longest = min(limit, LONGEST_DRAFT)
        n = self._best_length(longest, self._accepted[MODEL], self._offered)
        if not n:
            if self._drafter.ms_first and not self._best_length(longest, 1.0):
                return []
            if self._n_asked >= _FIRST_ASKS:
                self._n_idle += 1
                if self._n_idle < self._probe_at or self._drafter.ms_per_token > _PROBE_SHARE * self._costs.single_ms:
                    return []
                self._probe_at *= 2
            n = min(limit, _PROBE)
        self._n_asked += 1
        self._live = self._drafter.draft(n)
        if self._live.confidence == MODEL:
            for i in range(min(n, len(self._live.tokens) + 1)):
                self._n_offers += 1
                step = max(_SMOOTHING, 1 / (self._n_offers + _PRIOR_WEIGHT))
                self._offered += step * ((i < len(self._live.tokens)) - self._offered)
        return self._live.tokens

    def _best_length(self, available: int, accepted: float, offered: float = 1.0) -> int:
        """The length with the most tokens per millisecond; 0 if plain decoding is best.

        A draft of `n` ends before each token with chance 1 - `offered`, and costs by its actual length.
        """
        best, best_rate = 0, _MARGIN
        single_ms = self._costs.single_ms
        for n in _LENGTHS:
            n = min(n, available)
            expected = sum((accepted * offered) ** i for i in range(n + 1))
            n_drafted = sum(offered**i for i in range(1, n + 1))
            n_more = sum(offered**i for i in range(1, n))
            ms = self._drafter.ms_first + n_more * (self._drafter.ms_per_token or self._drafter.ms_first)
            rate = expected / (self._costs.relative(1 + n_drafted) + (ms / single_ms if single_ms else 0.0))
            if rate > best_rate:
                best, best_rate = n, rate
        return best

    def verified(self, drafted: list[int], sampled: list[int]) -> None:
        """Learns from one step: `sampled` is the accepted part of `drafted` and one more token."""
        self._drafter.accept(sampled)
        if drafted:
            n_accepted = common_prefix(drafted, sampled)
            self.n_steps += 1
            self.n_drafted += len(drafted)
            self.n_accepted += n_accepted
            for i in range(min(len(drafted), n_accepted + 1)):
                self.drafted_at[i] += 1
                self.accepted_at[i] += i < n_accepted
                self._learn(self._live.confidence, i < n_accepted)
            return
        for token in sampled:
            self._compare(token)

    def _compare(self, token: int) -> None:
        """Compares an unused draft with the sampled tokens."""
        shadow = self._shadow
        if not shadow.tokens:
            return
        right = shadow.tokens[self._shadow_at] == token
        self._learn(shadow.confidence, right)
        self._shadow_at += 1
        if not right or self._shadow_at == len(shadow.tokens):
            self._shadow = NO_DRAFT

    def _learn(self, confidence: int, right: bool) -> None:
        self._n_seen[confidence] += 1
        step = max(_SMOOTHING, 1 / (self._n_seen[confidence] + _PRIOR_WEIGHT))
        self._accepted[confidence] += step * (right - self._accepted[confidence])
