"""A reply that is held before its next token: what could come next, where the cursor stands, what was typed. Pure.

Knows no session and no widget: `StepControl` turns it into commands, `step_lines` into text.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from app.domain.trace import Prediction
from app.protocol.events import Paused

MAX_STEPS = 9999
_MAX_OWED = 5
"""Presses of the step key that are remembered while a token is computed; a key held down must not run away."""


class Hold(Enum):
    """Whether the loop is held."""

    OFF = auto()
    ASKED = auto()
    """The engine was asked to pause and has not yet."""
    PAUSED = auto()
    STEPPING = auto()
    """Some tokens come, and then it pauses again."""


@dataclass(frozen=True)
class Alternative:
    """A token that could come next. `before` and `after`: its probability before and after the chain."""

    id: int
    text: str
    rank: int
    """Before the chain."""
    before: float
    after: float


def alternatives(prediction: Prediction) -> tuple[Alternative, ...]:
    """Returns the best before the chain, then those that are among the best after it alone."""
    tokens = (*prediction.before, *prediction.raised)
    ranks = (*range(1, len(prediction.before) + 1), *prediction.raised_ranks)
    return tuple(
        Alternative(token.id, token.text, rank, token.p, prediction.after_of(i))
        for i, (token, rank) in enumerate(zip(tokens, ranks, strict=True))
    )


class Stepping:
    """The state of step mode in one reply."""

    def __init__(self) -> None:
        self.hold = Hold.OFF
        self.n_generated = 0
        self.prediction: Prediction | None = None
        self.rows: tuple[Alternative, ...] = ()
        self.cursor = 0
        self.count = ""
        """The digits typed so far: how many tokens the next step is."""
        self.n_asked = 0
        """How many tokens were asked for last."""
        self.banned: dict[int, str] = {}
        """Tokens that this reply does not sample any more, and their texts."""
        self._owed = 0

    @property
    def shown(self) -> bool:
        """Whether there is something to show: a distribution, or the wait for the next one."""
        return self.hold in {Hold.PAUSED, Hold.STEPPING}

    @property
    def paused(self) -> bool:
        """Whether the engine waits for a decision."""
        return self.hold is Hold.PAUSED

    @property
    def chosen(self) -> Alternative | None:
        """The alternative under the cursor."""
        return self.rows[self.cursor] if self.rows else None

    def ask(self) -> None:
        """The engine is asked to pause."""
        if self.hold is Hold.OFF:
            self.hold = Hold.ASKED

    def pause(self, event: Paused) -> int:
        """The engine has paused; returns how many further tokens were asked for meanwhile."""
        self.hold = Hold.PAUSED
        if event.n_generated != self.n_generated:
            self.cursor = 0
        self.n_generated, self.prediction = event.n_generated, event.prediction
        self.rows = alternatives(event.prediction)
        self.move(0)
        owed, self._owed = self._owed, 0
        return owed

    def owe(self, n: int) -> None:
        """Remembers steps that were asked for while one is under way."""
        self._owed = min(_MAX_OWED, self._owed + n)

    def go(self, n_steps: int | None) -> None:
        """The engine goes on, by `n_steps` tokens or for good."""
        self.hold = Hold.STEPPING if n_steps is not None else Hold.OFF
        self.n_asked, self.count, self._owed = n_steps or 0, "", 0

    def move(self, by: int) -> None:
        """Moves the cursor, which stops at the ends."""
        self.cursor = max(0, min(self.cursor + by, len(self.rows) - 1))

    def digit(self, char: str) -> None:
        """Adds a digit to the count; no count begins with 0, and none is larger than MAX_STEPS."""
        count = (self.count + char).lstrip("0")
        if not count or int(count) <= MAX_STEPS:
            self.count = count

    def erase(self) -> None:
        """Takes the last digit back."""
        self.count = self.count[:-1]

    @property
    def n_steps(self) -> int:
        """How many tokens the next step is."""
        return int(self.count) if self.count else 1
