"""When a message is sent: at once if the engine is free, else once the model is loaded or the reply has ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from typing import Literal, Protocol

from app.client.engine import EngineState, is_crash_looping
from app.domain.conversation import Role, UserMessage
from app.domain.errors import TokscopeError
from app.session.events import TurnEvent
from app.session.loading import EngineLoader
from app.session.session import Session


class QueueHost(Protocol):
    """The screen of the chat, as the queue sees it."""

    def run(self, work: Coroutine[object, object, None]) -> None:
        """Runs a turn in the background."""
        ...

    async def follow(self, events: AsyncGenerator[TurnEvent], again: bool) -> None:
        """Shows a turn to its end; `again`: its reply replaces the last one on the screen."""
        ...

    def queue_changed(self) -> None:
        """Called after every change of `waiting` or `running`."""
        ...

    def announce(self, text: str, severity: Literal["error"]) -> None:
        """Shows what went wrong outside a reply."""
        ...


class Chat:
    """One live chat.

    Attributes:
        waiting: messages in line, the oldest first.
        running: whether a turn runs.
    """

    def __init__(self, session: Session, loader: EngineLoader, host: QueueHost) -> None:
        """`loader` knows whether the last load succeeded."""
        self._engine = session.engine
        self.session = session
        self._loader = loader
        self._host = host
        self._ended = asyncio.Event()
        self.waiting: list[UserMessage] = []
        self.running = False
        self._held = False
        """Nothing is sent while `settle` waits."""

    @property
    def can_send(self) -> bool:
        """Whether a message would be sent now; a lost engine counts, as sending restarts it if its model had loaded."""
        state = self._engine.state
        takes = state is EngineState.READY or (state is EngineState.LOST and self._loader.ready)
        return takes and not self.running and not self.session.busy and not self.session.others_reply

    def submit(self, message: UserMessage) -> None:
        """Sends `message`, or puts it in line."""
        self.waiting.append(message)
        self._send_next()

    def advance(self) -> None:
        """Sends the next message in line, unless the engine keeps crashing: then only the user restarts it."""
        if self._engine.state is EngineState.LOST and is_crash_looping(self._engine):
            self._host.queue_changed()
        else:
            self._send_next()

    def _send_next(self) -> None:
        if self.waiting and not self._held and self.can_send:
            self.run(self._host.follow(self.session.send(self.waiting.pop(0)), False))
        else:
            self._host.queue_changed()

    def take_back(self) -> UserMessage | None:
        """Takes the newest message out of the line; returns it, None when none waits."""
        message = self.waiting.pop() if self.waiting else None
        self._host.queue_changed()
        return message

    def can_regenerate(self) -> bool:
        """Whether a reply can be written again now."""
        return self.can_send and any(message.role is Role.USER for message in self.session.branch)

    def regenerate(self) -> None:
        """Writes the last reply again; the old one stays as a version."""
        self.again(self.session.regenerate())

    def again(self, events: AsyncGenerator[TurnEvent]) -> None:
        """Runs a turn whose reply replaces the last one on the screen; the old one stays as a version."""
        self.run(self._host.follow(events, True))

    def stop(self) -> bool:
        """Stops the reply that is being written; returns whether there was one."""
        if self.running:
            self.session.stop()
        return self.running

    def take_all_back(self) -> list[UserMessage]:
        """Takes every message out of the line; returns them, the oldest first."""
        messages, self.waiting = self.waiting, []
        self._host.queue_changed()
        return messages

    async def settle(self) -> None:
        """Stops the reply and returns once it is stored; messages stay in line."""
        self._held = True
        try:
            if self.stop():
                await self._ended.wait()
        finally:
            self._held = False

    def run(self, work: Coroutine[object, object, None]) -> None:
        """Runs a turn or other work on the session; messages wait in line meanwhile."""
        self.running = True
        self._ended.clear()
        self._host.run(self._run(work))
        self._host.queue_changed()

    async def _run(self, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except TokscopeError as error:
            self._host.announce(error.full_message, "error")
        finally:
            self.running = False
            self._ended.set()
        self.advance()
