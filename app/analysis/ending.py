"""How near a reply was to its end at each token, and how the reply was requested."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from heapq import heappush, heappushpop
from math import exp, inf, isnan, log1p

from msgspec import Struct

from app.domain.generation import ContextPolicy
from app.domain.sampling import SamplingParams
from app.domain.trace import TokenTrace

N_RECENT = 256
N_MOMENTS = 8


@dataclass(frozen=True, order=True)
class Moment:
    """A place where the reply could have ended."""

    p: float
    at: int
    """Counted from 1 in the reply: the token that came in place of an end."""
    text: str
    """That token's piece."""


class Ending:
    """A fold over the tokens of one reply."""

    def __init__(self, n_kept: int = 0) -> None:
        """`n_kept`: how many tokens of the reply stand before the first of these."""
        self._n_kept = n_kept
        self.n = 0
        self.recent: deque[float] = deque(maxlen=N_RECENT)
        """Probability of an end at each of the last tokens, oldest first."""
        self.known = False
        """Whether the engine reports it: then every token has an end probability above 0."""
        self._log_left = self._log_left_before = 0.0
        self._moments: list[Moment] = []
        self._ended = False

    @property
    def now(self) -> float | None:
        """The probability of an end at the last token."""
        return self.recent[-1] if self.known else None

    @property
    def moments(self) -> list[Moment]:
        """The likeliest ends that were not taken, the likeliest first."""
        passed = self._n_kept + (self.n - 1 if self._ended else self.n)
        return sorted((moment for moment in self._moments if moment.at <= passed), reverse=True)

    @property
    def survival(self) -> float | None:
        """The chance that a reply drawn without a sampler chain comes as far as this one without an end."""
        return exp(self._log_left_before if self._ended else self._log_left) if self.known else None

    def token(self, token: TokenTrace) -> None:
        """Takes the next token."""
        p = 0.0 if isnan(token.p_end) else token.p_end
        self.n += 1
        self.known = self.known or p > 0
        self.recent.append(p)
        self._log_left_before = self._log_left
        self._log_left += log1p(-p) if p < 1 else -inf
        moment = Moment(p, self._n_kept + self.n, token.text)
        # One more than is shown: the last token may turn out to be the end itself.
        if len(self._moments) <= N_MOMENTS:
            heappush(self._moments, moment)
        elif moment > self._moments[0]:
            heappushpop(self._moments, moment)

    def finished(self, by_token: bool) -> None:
        """The reply is over. `by_token`: its last token is the end itself."""
        self._ended = by_token and self.n > 0


class ReplyContext(Struct, frozen=True):
    """Taken from the session by who shows the figures."""

    speculate: bool = False
    policy: ContextPolicy = "stop"
    sampling: SamplingParams = SamplingParams()
