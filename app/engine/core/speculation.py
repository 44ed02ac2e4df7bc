"""How many tokens to draft: as many as pay, by what is accepted and by what a batch of that many rows costs here.

Acceptance is learnt even while nothing is drafted: what a drafter would have said is compared with what was sampled.
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
"""Chance that a drafted token is right, by the confidence of its draft, before anything is learnt."""
_PRIOR_OFFERED = 0.9
_MARGIN = 1.05
_SHADOW = 4
_FIRST_ASKS = 8
"""A drafter that costs time is asked so often for a few tokens before it is judged: later it has much to catch up."""
_PROBE_EVERY = 96
_PROBE_SHARE = 0.1
_PROBE = 3
"""A draft model that does not pay is asked again after so many tokens, then after twice as many, and so on, for a
few tokens, where its own tokens cost less than this share: it must read all that came meanwhile. Never where it would
not pay if every draft were right."""
_DOUBT_EVERY = 8
"""What batches cost may be wrong: measured in a bad moment, or only guessed. So a draft that was looked up
and would pay at the usual cost is tried after so many steps without one, then after twice as many, and so on."""
_PLAIN_EVERY = 12
"""Where each step has a draft nothing tells any more what a step without one costs, so one is made now and then,
more often at first: a short reply's gain is to be known too."""


class Speculation:
    """Decides for one sequence; the drafter's text and the sampler's choice meet in `verified`."""

    def __init__(self, drafter: Drafter, costs: CostCurve) -> None:
        self.n_steps = self.n_drafted = self.n_accepted = 0
        self.drafted_at = [0] * LONGEST_DRAFT
        self.accepted_at = [0] * LONGEST_DRAFT
        self._drafter = drafter
        self._costs = costs
        self._accepted = dict(_PRIOR)
        """Chance that a drafted token is right, given that those before it were, by confidence."""
        self._n_seen: Counter[int] = Counter()
        self._offered, self._n_offers = _PRIOR_OFFERED, 0
        """Chance that a drafter that costs time does not end its draft before the next token."""
        self._live = NO_DRAFT
        self._shadow = NO_DRAFT
        """A draft that was not used, held against what comes."""
        self._shadow_at = 0
        self._n_idle = self._n_asked = 0
        self._probe_at = _PROBE_EVERY
        self._n_doubted, self._doubt_at = 0, _DOUBT_EVERY
        self._n_since_plain = self._n_plain = 0

    def counts(self) -> DraftCounts:
        """What happened so far; positions that were never drafted are left out."""
        used = LONGEST_DRAFT - next((i for i, n in enumerate(reversed(self.drafted_at)) if n), LONGEST_DRAFT)
        at = (tuple(self.drafted_at[:used]), tuple(self.accepted_at[:used]))
        return DraftCounts(self.n_steps, self.n_drafted, self.n_accepted, *at)

    def begin(self, tokens: list[int]) -> None:
        """Takes the prompt."""
        self._drafter.accept(tokens)

    def propose(self, limit: int) -> list[int]:
        """The draft for the next decode, at most `limit` tokens; empty where none is expected to pay."""
        if limit < 1 or self._shadow.tokens:
            return []
        tokens: list[int] = []
        if self._n_since_plain < min(_PLAIN_EVERY, 2 + 2 * self._n_plain):
            tokens = self._ask(limit) if self._drafter.costs_time else self._look_up(limit)
        self._n_since_plain = self._n_since_plain + 1 if tokens else 0
        self._n_plain += not tokens
        return tokens

    def _look_up(self, limit: int) -> list[int]:
        """The draft of a drafter that costs nothing."""
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
        """How long a draft to try although it is not expected to pay, so that its cost is measured; mostly 0."""
        n = min(available, _PROBE)
        if sum(accepted**i for i in range(n + 1)) < _MARGIN * (1 + PRIOR_SLOPE * n):
            return 0
        self._n_doubted += 1
        if self._n_doubted < self._doubt_at:
            return 0
        self._n_doubted, self._doubt_at = 0, 2 * self._doubt_at
        return n

    def _ask(self, limit: int) -> list[int]:
        """The draft of a drafter that costs time: its length is chosen before it begins."""
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
        """The length that makes most tokens a millisecond; 0 where plain decoding does.

        A draft of `n` ends before each of its tokens with chance 1 - `offered`; what it is long is what it costs.
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
        """Learns from one step: `sampled` is what the target chose, the matching part of `drafted` and one more."""
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
        """Holds a draft that was not used against what came."""
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
