"""What a draft would take of the context window: when that is asked, and the words for the answer. Knows no widget."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Protocol

from app.analysis import units as numbers
from app.client.engine import EngineState
from app.domain.generation import ContextPolicy
from app.session.budget import Budget, budget_of
from app.session.send_queue import Chat
from app.session.session import Session
from app.tui.transcript.notes import left_out

PAUSE_S = 0.4


@dataclass(frozen=True)
class BudgetNote:
    """An answer in words."""

    forms: tuple[str, ...]
    """The fullest first, for less and less room."""
    warns: bool = False


class Timer(Protocol):
    """What calls once, unless it is cancelled before."""

    def cancel(self) -> None:
        """Calls no more."""
        ...


Later = Callable[[float, Callable[[], None]], Timer]


def words(budget: Budget, policy: ContextPolicy) -> BudgetNote:
    """Returns what a person should know before sending."""
    message, left = numbers.tokens(budget.n_message), f"{budget.n_left:,} left"
    fit, n_ctx = budget.fit, f"{budget.n_ctx:,}"
    n_prompt = f"at least {budget.n_prompt:,}" if budget.at_least else f"{budget.n_prompt:,}"
    if budget.refused:
        alone = "even without the oldest turns " if policy != "stop" else ""
        return BudgetNote(
            (
                f"does not fit: {alone}{n_prompt} tokens, the window holds {n_ctx}: no reply",
                f"does not fit: {n_prompt} of {n_ctx} tokens",
                "does not fit",
            ),
            warns=True,
        )
    if budget.at_least:
        return BudgetNote((f"{n_prompt} tokens, the window holds {n_ctx}", f"{n_prompt} tokens"), warns=True)
    if fit.n_messages:
        return BudgetNote(
            (
                f"does not fit: {left_out(fit.n_messages, fit.n_tokens)} · {message} · {left}",
                f"does not fit: {fit.n_messages} oldest left out · {left}",
                f"{fit.n_messages} oldest left out",
            ),
            warns=True,
        )
    if budget.tight:
        then = "the oldest half is forgotten" if fit.shifts else "the reply ends"
        return BudgetNote((f"{message} · {left}, then {then}", f"{message} · only {left}", f"only {left}"), warns=True)
    return BudgetNote((f"{message} · {left}", left))


def state_of(chat: Chat, loaded: bool) -> object | None:
    """Returns all that an answer depends on but the draft; None while the engine has other things to do."""
    session, engine = chat.session, chat.session.engine
    if engine.state is not EngineState.READY or not loaded or chat.running or chat.waiting or session.busy:
        return None
    last = session.branch[-1].id if session.branch else 0
    return session.preset, engine.model, len(session.branch), last


async def ask(session: Session, text: str) -> BudgetNote | None:
    """Asks the engine about a draft; None where it cannot tell."""
    preset = session.preset
    budget = await budget_of(session.engine, preset, session.branch, text)
    return words(budget, preset.context) if budget else None


class BudgetWatch:
    """Asks when nothing was typed for a moment and the engine is idle, one question at a time, the newest draft's.

    A question that was sent is never given up: it is short, and ending one by force could end the engine.
    """

    def __init__(
        self,
        *,
        draft: Callable[[], str],
        state: Callable[[], object | None],
        ask: Callable[[str], Awaitable[BudgetNote | None]],
        show: Callable[[BudgetNote | None], None],
        spawn: Callable[[Coroutine[object, object, None]], object],
        later: Later | None = None,
    ) -> None:
        """Takes what it needs as functions.

        Args:
            draft: what is written now.
            state: all that the answer depends on but the draft; None while the engine must not be asked.
            ask: asks the engine.
            show: shows an answer; None takes away the one before, which no longer holds.
            spawn: runs a question in the background.
            later: calls something after so many seconds; None is the event loop's own clock.
        """
        self._draft = draft
        self._state = state
        self._ask = ask
        self._show = show
        self._spawn = spawn
        self._later = later
        self._timer: Timer | None = None
        self._known: object | None = None
        self._n_changes = 0
        self._asking = False

    def look(self) -> None:
        """Says that anything but the draft may have changed."""
        state = self._state()
        if state != self._known:
            self._known = state
            self.typed()

    def typed(self) -> None:
        """Says that the draft has changed."""
        self._n_changes += 1
        self._show(None)
        self.end()
        if self._known is not None:
            later = self._later or asyncio.get_running_loop().call_later
            self._timer = later(PAUSE_S, self._due)

    def end(self) -> None:
        """Asks no more until something changes."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        self._timer = None
        text = self._draft()
        if text.strip() and not self._asking and self._may_ask:
            self._asking = True
            self._spawn(self._question(text))

    @property
    def _may_ask(self) -> bool:
        return self._known is not None and self._state() == self._known

    async def _question(self, text: str) -> None:
        n_changes = self._n_changes
        try:
            reported = await self._ask(text)
        finally:
            self._asking = False
        # A key may have changed the draft and not been told of yet.
        if n_changes == self._n_changes and self._may_ask and text == self._draft():
            self._show(reported)
        elif self._timer is None:
            self._due()
