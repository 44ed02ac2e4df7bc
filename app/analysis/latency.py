"""The time between tokens over a whole reply: its shape, what it is spent on, and what the depth does to it.

Bounded memory, O(1) a token; every time is the engine's.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from app.domain.trace import Origin, TokenTrace

N_BUCKETS = 256
ENOUGH_TOKENS = 16
"""Number of tokens from which a trend is shown."""


@dataclass
class Bucket:
    """The times of some consecutive tokens."""

    n: int
    low: float
    high: float
    total: float


class Envelope:
    """A curve of any length in at most `N_BUCKETS` buckets, which grow together when they are full."""

    def __init__(self) -> None:
        self.buckets: list[Bucket] = []
        self._size = 1

    def add(self, value: float) -> None:
        """Adds the next point."""
        last = self.buckets[-1] if self.buckets else None
        if last is not None and last.n < self._size:
            last.n, last.low, last.high = last.n + 1, min(last.low, value), max(last.high, value)
            last.total += value
            return
        if len(self.buckets) == N_BUCKETS:
            pairs = zip(self.buckets[::2], self.buckets[1::2], strict=True)
            self.buckets = [
                Bucket(a.n + b.n, min(a.low, b.low), max(a.high, b.high), a.total + b.total) for a, b in pairs
            ]
            self._size *= 2
        self.buckets.append(Bucket(1, value, value, value))


@dataclass(frozen=True)
class Trend:
    """A straight line through times over depths, by least squares."""

    ms_per_1000: float
    """What 1,000 more tokens of context add to the time of a token."""
    error: float
    """Its standard error."""

    @property
    def seen(self) -> bool:
        """Whether there is an effect beyond what chance would draw."""
        return abs(self.ms_per_1000) > 2 * self.error


@dataclass(frozen=True)
class TimeShare:
    """One of the things that the time of a token is spent on."""

    name: str
    ms: float
    """Of one token on average."""
    fraction: float


class Latency:
    """A fold over the tokens of one reply after the first."""

    def __init__(self) -> None:
        self.n = 0
        self.envelope = Envelope()
        self.total_ms = self.decode_ms = self.sample_ms = self.text_ms = 0.0
        self.longest_ms = 0.0
        self.first_depth = self.last_depth = 0
        """Tokens in the window before the first and before the last of these."""
        self.deepest = 0
        self.n_passes = 0
        """Tokens that a pass of their own was made for; a draft brings others along."""
        self._n_steps = 0
        self._in_draft = False
        self._sx = self._sy = self._sxx = self._sxy = self._syy = 0.0

    def token(self, token: TokenTrace, depth: int) -> None:
        """Takes the next token, before which `depth` tokens lie in the window."""
        self.first_depth = depth if not self.n else self.first_depth
        x, y = float(depth - self.first_depth), token.ms
        self.last_depth, self.deepest = depth, max(self.deepest, depth)
        self.n += 1
        self.n_passes += token.decode_ms > 0
        plain = token.origin is not Origin.DRAFT and not token.ghosts and not self._in_draft
        self._in_draft = token.origin is Origin.DRAFT
        self.total_ms += y
        self.longest_ms = max(self.longest_ms, y)
        self.decode_ms += token.decode_ms
        self.sample_ms += token.sample_ms
        self.text_ms += token.text_ms
        self.envelope.add(y)
        if plain:  # what a draft brought along has no time of its own
            self._fit(x, y)

    def _fit(self, x: float, y: float) -> None:
        self._n_steps += 1
        self._sx += x
        self._sy += y
        self._sxx += x * x
        self._sxy += x * y
        self._syy += y * y

    @property
    def pass_ms(self) -> float | None:
        """Mean time of computing the logits of one pass, in ms; None if the engine does not report it."""
        return self.decode_ms / self.n_passes if self.n_passes else None

    @property
    def trend(self) -> Trend | None:
        """The effect of the depth on plain steps; None while there are too few."""
        n = self._n_steps
        if n < ENOUGH_TOKENS:
            return None
        sxx, sxy = self._sxx - self._sx**2 / n, self._sxy - self._sx * self._sy / n
        syy = self._syy - self._sy**2 / n
        if not sxx:
            return None
        slope = sxy / sxx
        rest = max(0.0, syy - slope * sxy)
        return Trend(slope * 1000, sqrt(rest / (n - 2) / sxx) * 1000)

    @property
    def shares(self) -> tuple[TimeShare, ...]:
        """Decode, sampling, detokenising and the rest of the engine's loop; empty if not reported."""
        if not self.n or not self.total_ms or not self.decode_ms:
            return ()
        rest = max(0.0, self.total_ms - self.decode_ms - self.sample_ms - self.text_ms)
        parts = (
            ("decode", self.decode_ms),
            ("sample", self.sample_ms),
            ("text", self.text_ms),
            ("rest of the loop", rest),
        )
        return tuple(TimeShare(name, ms / self.n, ms / self.total_ms) for name, ms in parts)
