"""A reply held before its next token: candidates before and after the sampler chain, the cursor, what was typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from app.domain.probability import percent
from app.domain.text import one_line
from app.domain.trace import Prediction
from app.protocol.events import Paused
from app.tui.widgets.line import Line, bar, first_row, p_role, spread, visible, width_of

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


N_HEAD = 2
"""Lines above the rows."""
_HEAD = "next token"
_UNDO = "b takes it back"
_MARK, _RANK, _P, _GAP = 2, 4, 8, 2


def step_lines(state: Stepping, width: int, height: int) -> list[Line]:
    """Returns at most `height` lines: a title, the columns' names, and the rows around the cursor."""
    n_text = max(len(_HEAD) + 1, min(24, width // 4))
    n_bar = max(0, (width - _MARK - _RANK - n_text - 2 * _P - _GAP) // 2)
    lines = [_title(state, width), _heads(n_text, n_bar)]
    first = first_row(state.cursor, len(state.rows), height - N_HEAD)
    for place, row in enumerate(state.rows[first : first + max(0, height - N_HEAD)], first):
        lines.append(_row(row, place == state.cursor, row.id in state.banned, n_text, n_bar))
    return lines[:height]


def _title(state: Stepping, width: int) -> Line:
    word, role = _state(state)
    left: list[Line] = [((f"token {state.n_generated + 1:,}", "value"),)]
    if state.prediction is not None:
        left.append((("entropy ", "dim"), (f"{state.prediction.entropy:.2f} bits", "value")))
        left.append((("end ", "dim"), (percent(state.prediction.p_end), "value")))
    if state.banned:
        names = " ".join(one_line(text, 12).strip() or "␣" for text in list(state.banned.values())[-3:])
        left.append((("banned ", "dim"), (f"{len(state.banned)}: {names}", "value")))
        left.append((("u ", "value"), ("undoes the last", "dim")))
    line: Line = (("STEP ", "title"),)
    for part in left:
        grown: Line = (*line, *((("· ", "dim"),) if len(line) > 1 else ()), *part, (" ", "text"))
        if width_of(grown) + len(word) + 1 > width:
            break
        line = grown
    return spread(line, ((word, role),), width)


def _state(state: Stepping) -> tuple[str, str]:
    if state.count:
        return f"{state.count}▏ tokens: Space", "value"
    if state.hold is Hold.STEPPING:
        n = state.n_asked
        return (f"computing {n:,} tokens", "dim") if n != 1 else ("computing", "dim")
    return "‖ paused", "warn"


def _heads(n_text: int, n_bar: int) -> Line:
    lead = " " * (_MARK + _RANK)
    before = "before the chain" if n_bar >= 8 else "before"
    after = "after it" if n_bar >= 8 else "after"
    return ((lead + _HEAD.ljust(n_text) + before.rjust(_P).ljust(_P + n_bar + _GAP) + after, "dim"),)


def _row(row: Alternative, at_cursor: bool, banned: bool, n_text: int, n_bar: int) -> Line:
    rank = f"{row.rank:>3} " if row.rank < 1000 else "1k+ "
    return (
        ("▶ " if at_cursor else "  ", "value"),
        (rank, "dim"),
        (visible(row.text, n_text), "value" if at_cursor else "text"),
        *_measure(row.before, n_bar, "–"),
        (" " * _GAP, "text"),
        *_measure(row.after, n_bar, "banned" if banned else "cut", _UNDO if banned and at_cursor else ""),
    )


def _measure(p: float, n_bar: int, nothing: str, words: str = "") -> Sequence[tuple[str, str]]:
    if p <= 0:
        return ((f"{nothing:>{_P - 1}} ", "dim"), (words.ljust(n_bar) if len(words) <= n_bar else " " * n_bar, "text"))
    return ((f"{percent(p):>{_P - 1}} ", p_role(p)), (bar(p, n_bar).ljust(n_bar), p_role(p)))
