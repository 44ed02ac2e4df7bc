"""The chat's traffic: what is sent when, what waits, what a stop means. Knows no widget.

A message is sent at once when the engine can take it; otherwise it waits in line until the model is loaded or the reply
before it has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine

from app.client.engine import EngineState
from app.domain.conversation import Role
from app.domain.errors import TokscopeError
from app.session.events import TurnEvent
from app.session.session import Session

Spawn = Callable[[Coroutine[object, object, None]], object]
Follow = Callable[[AsyncGenerator[TurnEvent], bool], Coroutine[object, object, None]]


class Chat:
    """One live chat.

    Attributes:
        waiting: messages in line, the oldest first.
        running: whether a turn runs.
    """

    def __init__(
        self,
        session: Session,
        *,
        follow: Follow,
        loaded: Callable[[], bool],
        spawn: Spawn,
        changed: Callable[[], None],
        announce: Callable[[str], None],
        over: Callable[[], None] = lambda: None,
    ) -> None:
        """Takes what it needs as functions.

        Args:
            follow: shows a turn's events (True: in place of the last reply).
            loaded: tells whether the last load succeeded.
            spawn: runs a turn in the background.
            changed: hears of every new state.
            tell: shows what went wrong outside a reply.
            over: hears of the end of every turn.
        """
        self._engine = session.engine
        self.session = session
        self._follow = follow
        self._loaded = loaded
        self._spawn = spawn
        self._changed = changed
        self._announce = announce
        self._over = over
        self._ended = asyncio.Event()
        self.waiting: list[str] = []
        self.running = False
        self._held = False
        """Whether what waits must not be sent although the engine could take it."""

    @property
    def can_send(self) -> bool:
        """Whether a message would be sent now. It starts a lost engine again, if that has a model to load again."""
        state = self._engine.state
        takes = state is EngineState.READY or (state is EngineState.LOST and self._loaded())
        return takes and not self.running and not self.session.busy and not self.session.others_reply

    def submit(self, text: str) -> None:
        """Sends `text`, or puts it in line."""
        self.waiting.append(text)
        self._send_next()

    def advance(self) -> None:
        """Sends the next message in line, but not to an engine that keeps dying: only a person starts it again."""
        if self._engine.state is EngineState.LOST and self._engine.crash_looping:
            self._changed()
        else:
            self._send_next()

    def _send_next(self) -> None:
        if self.waiting and not self._held and self.can_send:
            self.run(self._follow(self.session.send(self.waiting.pop(0)), False))
        else:
            self._changed()

    def take_back(self) -> str:
        """Takes the newest message out of the line; returns its text, empty when none waits."""
        text = self.waiting.pop() if self.waiting else ""
        self._changed()
        return text

    def can_regenerate(self) -> bool:
        """Whether there is a reply that could be written again now."""
        return self.can_send and any(message.role is Role.USER for message in self.session.branch)

    def regenerate(self) -> None:
        """Writes the last reply again; the old one stays a branch."""
        self.again(self.session.regenerate())

    def again(self, events: AsyncGenerator[TurnEvent]) -> None:
        """Shows a turn whose reply takes the place of one that is shown; that one stays a branch."""
        self.run(self._follow(events, True))

    def stop(self) -> bool:
        """Asks for the end of the reply that is being written; False when there is none."""
        if self.running:
            self.session.stop()
        return self.running

    def take_all_back(self) -> str:
        """Takes every message out of the line; returns their texts, one below the other."""
        text = "\n".join(self.waiting)
        self.waiting.clear()
        self._changed()
        return text

    async def settle(self) -> None:
        """Stops the reply and returns when its row is finished; what waits stays in line."""
        self._held = True
        try:
            if self.stop():
                await self._ended.wait()
        finally:
            self._held = False

    def run(self, work: Coroutine[object, object, None]) -> None:
        """Runs a turn, or whatever else keeps the session busy; messages wait in line meanwhile."""
        self.running = True
        self._ended.clear()
        self._spawn(self._run(work))
        self._changed()

    async def _run(self, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except TokscopeError as error:
            self._announce(error.full_message)
        finally:
            self.running = False
            self._ended.set()
            self._over()
        self.advance()
