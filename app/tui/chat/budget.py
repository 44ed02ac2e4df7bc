"""How much of the context window a draft would take: when to ask, and the words for the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Protocol

from app.analysis.finish import left_out
from app.client.engine import EngineState
from app.domain import units
from app.domain.conversation import UserMessage
from app.domain.generation import ContextPolicy
from app.session.budget import Budget, budget_of
from app.session.loading import EngineLoader
from app.session.send_queue import Chat
from app.tui.widgets.composer import Composer

PAUSE_S = 0.4


@dataclass(frozen=True)
class BudgetNote:
    """An answer in words."""

    forms: tuple[str, ...]
    """The fullest first, then shorter ones for less room."""
    warns: bool = False


class Timer(Protocol):
    """What calls once, unless it is cancelled before."""

    def cancel(self) -> None:
        """Calls no more."""
        ...


Later = Callable[[float, Callable[[], None]], Timer]


def words(budget: Budget, policy: ContextPolicy) -> BudgetNote:
    """Returns what a person should know before sending."""
    message, left = units.tokens(budget.n_message), f"{budget.n_left:,} left"
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


class BudgetSource(Protocol):
    """The draft, and who knows what it takes."""

    @property
    def draft(self) -> str:
        """What is written now."""
        ...

    @property
    def state(self) -> object | None:
        """All that the answer depends on besides the draft; None while the engine must not be asked."""
        ...

    async def ask(self, text: str) -> BudgetNote | None:
        """Asks the engine about a draft; None if it cannot say."""
        ...

    def show(self, note: BudgetNote | None) -> None:
        """Shows an answer; None removes the one before."""
        ...


class DraftBudget:
    """The composer's draft and the engine of the chat."""

    def __init__(self, chat: Chat, loader: EngineLoader, composer: Composer) -> None:
        self._chat = chat
        self._loader = loader
        self._composer = composer

    @property
    def draft(self) -> str:
        """What is written in the composer."""
        return self._composer.draft

    @property
    def state(self) -> object | None:
        """See `BudgetSource`."""
        session, engine = self._chat.session, self._chat.session.engine
        if not self._composer.is_running or engine.state is not EngineState.READY or not self._loader.ready:
            return None
        if self._chat.running or self._chat.waiting or session.busy:
            return None
        last = session.branch[-1].id if session.branch else 0
        return session.settings.preset, engine.model, len(session.branch), last

    async def ask(self, text: str) -> BudgetNote | None:
        """See `BudgetSource`."""
        preset, session = self._chat.session.settings.preset, self._chat.session
        budget = await budget_of(session.engine, preset, session.branch, UserMessage(text))
        return words(budget, preset.context) if budget else None

    def show(self, note: BudgetNote | None) -> None:
        """Shows the answer beside the draft."""
        if note is None:
            self._composer.note(())
        else:
            self._composer.note(note.forms, warns=note.warns)


class BudgetWatch:
    """Asks when nothing was typed for a moment and the engine is idle, one question at a time, about the newest draft.

    A question that was sent is never cancelled: it is short, and cancelling one by force could end the engine.
    """

    def __init__(
        self,
        source: BudgetSource,
        run: Callable[[Coroutine[object, object, None]], object],
        later: Later | None = None,
    ) -> None:
        """`run` runs a question in the background; `later` is the event loop's `call_later` if None."""
        self._source = source
        self._run = run
        self._later = later
        self._timer: Timer | None = None
        self._known: object | None = None
        self._n_changes = 0
        self._asking = False

    def look(self) -> None:
        """Call it when anything but the draft may have changed."""
        state = self._source.state
        if state != self._known:
            self._known = state
            self.typed()

    def typed(self) -> None:
        """Call it when the draft has changed."""
        self._n_changes += 1
        self._source.show(None)
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
        text = self._source.draft
        if text.strip() and not self._asking and self._may_ask:
            self._asking = True
            self._run(self._question(text))

    @property
    def _may_ask(self) -> bool:
        return self._known is not None and self._source.state == self._known

    async def _question(self, text: str) -> None:
        n_changes = self._n_changes
        try:
            reported = await self._source.ask(text)
        finally:
            self._asking = False
        # A key may have changed the draft before `typed` is called.
        if n_changes == self._n_changes and self._may_ask and text == self._source.draft:
            self._source.show(reported)
        elif self._timer is None:
            self._due()
