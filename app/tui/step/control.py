"""Step mode: pauses the reply and resumes it as the user says. Knows no widget."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from app.client.engine import Queryable, require
from app.protocol.commands import Resume, Tokenize
from app.protocol.events import EngineLost, Paused
from app.session.send_queue import Chat
from app.tui.common.host import ChatHost
from app.tui.step.state import N_HEAD, Stepping
from app.tui.widgets.line import first_row


class StepControl:
    """Pauses and resumes the running reply for the keys of step mode.

    Attributes:
        state: what to show.
    """

    def __init__(self, chat: Chat, host: ChatHost, changed: Callable[[], None]) -> None:
        """`changed` is called after every change of `state` or `armed`."""
        self._chat = chat
        self._session = chat.session
        self._host = host
        self._changed = changed
        self.state = Stepping()

    @property
    def armed(self) -> bool:
        """Whether the next reply starts paused."""
        return self._session.settings.step_from_start

    def _arm(self, armed: bool) -> None:
        self._session.settings = replace(self._session.settings, step_from_start=armed)

    def toggle(self) -> None:
        """Pauses the reply or resumes it; without a reply, arms the next one or disarms it."""
        if self.state.paused:
            self.run_on()
        elif self._chat.running:
            self.state.ask()
            self._session.pause()
        else:
            self._arm(not self.armed)
            self._changed()
            self._host.announce("The next reply starts paused." if self.armed else "The next reply runs at full speed.")

    def paused(self, event: Paused) -> None:
        """Takes in that the engine has paused."""
        self._arm(False)
        owed = self.state.pause(event)
        if owed:
            self._go(Resume(n_steps=owed))
        else:
            self._changed()

    def ended(self) -> None:
        """Forgets the state of a reply that has ended."""
        self.state = Stepping()
        self._changed()

    def step(self) -> None:
        """Generates one token, or as many as were typed."""
        n_steps = self.state.n_steps
        if self.state.paused:
            self._go(Resume(n_steps=n_steps))
        else:
            self.state.owe(n_steps)

    def take(self) -> None:
        """Forces the candidate under the cursor; after a number, generates that many tokens instead."""
        chosen = self.state.chosen
        if self.state.count:
            self.step()
        elif self.state.paused and chosen is not None:
            self._go(Resume(n_steps=1, force_ids=(chosen.id,)))

    def ban(self) -> None:
        """Bans the token under the cursor for the rest of this reply, or lifts its ban."""
        chosen = self.state.chosen
        if not self.state.paused or chosen is None:
            return
        if chosen.id in self.state.banned:
            self._unban(chosen.id)
        else:
            self.state.banned[chosen.id] = chosen.text
            self._go(Resume(n_steps=0, ban_ids=(chosen.id,)))

    def unban(self) -> None:
        """Lifts the last ban."""
        if self.state.paused and self.state.banned:
            self._unban(next(reversed(self.state.banned)))

    def _unban(self, token: int) -> None:
        del self.state.banned[token]
        self._go(Resume(n_steps=0, unban_ids=(token,)))

    async def force(self, text: str) -> str:
        """Forces text into the reply and pauses after it; returns what went wrong, or ""."""
        engine = self._session.engine
        reported = await require(engine, Queryable, "count tokens").tokenize(Tokenize(engine.next_request_id(), text))
        if isinstance(reported, EngineLost) or reported.error:
            return reported.reason if isinstance(reported, EngineLost) else reported.error
        n_tokens = sum(token.n_bytes > 0 for token in reported.tokens)
        if self.state.paused and n_tokens:
            self._go(Resume(n_steps=n_tokens, force_text=text))
        return ""

    def run_on(self) -> None:
        """Resumes the reply at full speed."""
        if self.state.paused:
            self._go(Resume())

    def move(self, by: int) -> None:
        """Moves the cursor."""
        self.state.move(by)
        self._changed()

    def row_at(self, line: int, height: int) -> int | None:
        """Returns the candidate on a line of the panel, if any."""
        row = first_row(self.state.cursor, len(self.state.rows), height - N_HEAD) + line - N_HEAD
        return row if line >= N_HEAD and row < len(self.state.rows) else None

    def digit(self, char: str) -> None:
        """Adds a digit to the number of tokens."""
        self.state.digit(char)
        self._changed()

    def erase(self) -> None:
        """Deletes the last digit."""
        self.state.erase()
        self._changed()

    def _go(self, how: Resume) -> None:
        self.state.go(how.n_steps)
        self._session.resume(how)
        self._changed()
