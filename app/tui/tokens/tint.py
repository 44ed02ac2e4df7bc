"""Tints of a reply: which mark and which role a token gets, and the legend. Never by colour alone. Pure."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from enum import StrEnum
from math import isnan
from typing import NamedTuple

from app.domain import units
from app.domain.probability import step
from app.domain.trace import Origin, TokenTrace
from app.tui.widgets.line import Line


class Tint(StrEnum):
    """What the tokens of a reply are marked by."""

    NONE = "none"
    PROBABILITY = "probability"
    ENTROPY = "entropy"
    LATENCY = "latency"
    ORIGIN = "origin"

    @property
    def next(self) -> Tint:
        """Returns the tint after this one; the last is followed by none."""
        order = list(Tint)
        return order[(order.index(self) + 1) % len(order)]


class Mark(NamedTuple):
    """What stands under a token, and the role of both."""

    char: str
    """Repeated under the whole token, or, for a letter, once."""
    role: str


_LEVELS = "▁▂▃▄▅▆▇█"
_PROBABLE = (Mark("█", "high"), Mark("▆", "mid"), Mark("▄", "low"), Mark("▂", "low"), Mark("▁", "low"))
"""Marks by the step of a probability."""
_STEP_WORDS = ("≥50 %", "10–50 %", "1–10 %", "0.1–1 %", "<0.1 %")
_ENTROPY = (0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0)
_LATENCY = (0.5, 0.8, 1.25, 1.6, 2.0, 3.0, 5.0)
_RISING = ("low", "low", "low", "mid", "mid", "high", "high", "high")
"""Roles by level, where more is better; the others read them backwards."""
_ORIGINS = {
    Origin.SAMPLED: Mark("·", "text"),
    Origin.DRAFT: Mark("D", "high"),
    Origin.BONUS: Mark("B", "reply"),
    Origin.FORCED: Mark("F", "mid"),
    Origin.GRAMMAR: Mark("G", "low"),
}
_WORDS = {
    Origin.SAMPLED: "sampled",
    Origin.DRAFT: "draft accepted",
    Origin.BONUS: "bonus",
    Origin.FORCED: "forced",
    Origin.GRAMMAR: "grammar excluded the best",
}


def origin_words(origin: Origin) -> str:
    """Returns an origin in words."""
    return _WORDS[origin]


class Typical:
    """The median time between two tokens of a reply, which a latency is compared with.

    Costs a look at each token once, however often a reply that grows is shown.
    """

    def __init__(self) -> None:
        self._n = 1
        self._sorted: list[float] = []

    def take(self, tokens: Sequence[TokenTrace]) -> None:
        """Takes what is new of a reply; the first token's time is none between two."""
        for token in tokens[self._n :]:
            insort(self._sorted, token.ms)
        self._n = max(self._n, len(tokens))

    @property
    def ms(self) -> float:
        """The median; 0 where there are no times."""
        n = len(self._sorted)
        return (self._sorted[n // 2] + self._sorted[(n - 1) // 2]) / 2 if n else 0.0


def mark(token: TokenTrace, tint: Tint, typical: float) -> Mark:
    """Returns a token's mark under a tint; `typical` is `Typical.ms` of the reply."""
    match tint:
        case Tint.NONE:
            return Mark("", "text")
        case Tint.PROBABILITY:
            return _PROBABLE[step(token.p)]
        case Tint.ENTROPY if isnan(token.entropy):
            return Mark("·", "dim")
        case Tint.ENTROPY:
            level = bisect_right(_ENTROPY, token.entropy)
            return Mark(_LEVELS[level], _RISING[7 - level])
        case Tint.LATENCY:
            level = bisect_right(_LATENCY, token.ms / typical) if typical > 0 else 0
            return Mark(_LEVELS[level], _RISING[7 - level])
        case Tint.ORIGIN:
            return _ORIGINS[token.origin]


def legend(tint: Tint, typical: float) -> Line:
    """Returns the line that explains a tint; empty without one."""
    match tint:
        case Tint.NONE:
            return ()
        case Tint.PROBABILITY:
            line: Line = (("p  ", "dim"),)
            for step_mark, words in zip(_PROBABLE, _STEP_WORDS, strict=True):
                line = (*line, step_mark, (f" {words}  ", "text"))
            return line
        case Tint.ENTROPY:
            return _scale("entropy", ("< 1 bit", "1–3 bits", "≥ 3 bits"), _RISING[::-1])
        case Tint.LATENCY:
            times = ("< 1.25×", "to 2×", f"≥ 2× the median of {units.ms(typical or None)}")
            return _scale("latency", times, _RISING[::-1])
        case Tint.ORIGIN:
            line: Line = ()
            for origin, (char, role) in _ORIGINS.items():
                line = (*line, (char, role), (f" {origin.value}  ", "text"))
            return line


def _scale(name: str, words: tuple[str, str, str], roles: Sequence[str]) -> Line:
    low, mid, high = words
    return (
        (f"{name}  ", "dim"),
        ("▁▂▃", roles[0]),
        (f" {low}  ", "text"),
        ("▄▅", roles[3]),
        (f" {mid}  ", "text"),
        ("▆▇█", roles[7]),
        (f" {high}", "text"),
    )
