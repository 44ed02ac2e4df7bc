"""Holds the loop and lets it go on as the user says: the one place where keys of step mode become commands.

Knows the session and the state, no widget; `changed` hears of everything that should be seen.
"""

from __future__ import annotations

from collections.abc import Callable

from app.protocol.commands import Tokenize
from app.protocol.events import EngineLost, Paused
from app.session.session import Session
from app.tui.step.state import N_HEAD, Stepping
from app.tui.widgets.line import first_row


class StepControl:
    """Pauses and resumes the running reply for the keys of step mode.

    Attributes:
        state: what to show.
        armed: whether the next reply starts paused.
    """

    def __init__(self, session: Session, running: Callable[[], bool], changed: Callable[[], None]) -> None:
        """`running` tells whether a reply is being written."""
        self._session = session
        self._running = running
        self._changed = changed
        self.state = Stepping()

    @property
    def armed(self) -> bool:
        """Whether the next reply starts paused."""
        return self._session.step_from_start

    def toggle(self) -> str:
        """Pauses the reply, or lets it run on; without one the next starts paused, or not. Returns a notice."""
        if self.state.paused:
            self.run_on()
            return ""
        if self._running():
            self.state.ask()
            self._session.pause()
            return ""
        self._session.step_from_start = not self.armed
        self._changed()
        return "The next reply starts paused." if self.armed else "The next reply runs at full speed."

    def paused(self, event: Paused) -> None:
        """The engine waits for a decision."""
        self._session.step_from_start = False
        owed = self.state.pause(event)
        if owed:
            self._go(owed)
        else:
            self._changed()

    def ended(self) -> None:
        """The reply is over, however it ended."""
        self.state = Stepping()
        self._changed()

    def step(self) -> None:
        """Lets one token come, or as many as were typed."""
        n_steps = self.state.n_steps
        if self.state.paused:
            self._go(n_steps)
        else:
            self.state.owe(n_steps)

    def take(self) -> None:
        """Puts the alternative under the cursor into the reply; after a number it is a step of so many tokens."""
        chosen = self.state.chosen
        if self.state.count:
            self.step()
        elif self.state.paused and chosen is not None:
            self._go(1, force_ids=(chosen.id,))

    def ban(self) -> None:
        """Keeps the token under the cursor from being sampled in this reply, or takes that back."""
        chosen = self.state.chosen
        if not self.state.paused or chosen is None:
            return
        if chosen.id in self.state.banned:
            self._unban(chosen.id)
        else:
            self.state.banned[chosen.id] = chosen.text
            self._go(0, ban_ids=(chosen.id,))

    def unban(self) -> None:
        """Takes the last ban back."""
        if self.state.paused and self.state.banned:
            self._unban(next(reversed(self.state.banned)))

    def _unban(self, token: int) -> None:
        del self.state.banned[token]
        self._go(0, unban_ids=(token,))

    async def force(self, text: str) -> str:
        """Puts text into the reply and pauses after it; returns why that cannot be, empty when it was done."""
        engine = self._session.engine
        reported = await engine.tokenize(Tokenize(engine.next_request_id(), text))
        if isinstance(reported, EngineLost) or reported.error:
            return reported.reason if isinstance(reported, EngineLost) else reported.error
        n_tokens = sum(token.n_bytes > 0 for token in reported.tokens)
        if self.state.paused and n_tokens:
            self._go(n_tokens, force_text=text)
        return ""

    def run_on(self) -> None:
        """Lets the reply run at full speed."""
        if self.state.paused:
            self._go(None)

    def move(self, by: int) -> None:
        """Moves the cursor."""
        self.state.move(by)
        self._changed()

    def row_at(self, line: int, height: int) -> int | None:
        """Returns the alternative that a line of the panel shows, if any."""
        row = first_row(self.state.cursor, len(self.state.rows), height - N_HEAD) + line - N_HEAD
        return row if line >= N_HEAD and row < len(self.state.rows) else None

    def digit(self, char: str) -> None:
        """Adds a digit to the number of tokens."""
        self.state.digit(char)
        self._changed()

    def erase(self) -> None:
        """Takes a digit back."""
        self.state.erase()
        self._changed()

    def _go(
        self,
        n_steps: int | None,
        *,
        force_ids: tuple[int, ...] = (),
        force_text: str = "",
        ban_ids: tuple[int, ...] = (),
        unban_ids: tuple[int, ...] = (),
    ) -> None:
        self.state.go(n_steps)
        self._session.resume(n_steps, force_ids, force_text, ban_ids, unban_ids)
        self._changed()
