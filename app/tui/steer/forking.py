"""Another version of a reply that keeps its beginning: cut at a token, or rewritten by hand."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from app.domain.conversation import Message, Role
from app.domain.text import one_line
from app.protocol.events import GenerationStarted
from app.session.events import ForkReread, TurnEvent
from app.tui.flow.chat import Chat
from app.tui.inspect.fork import ForkWanted
from app.tui.screens.rewrite import Rewrite
from app.tui.screens.safe import Ask


class Forking:
    """Starts turns that go on from a part of a reply; the version before stays beside the new one."""

    def __init__(self, chat: Chat, ask: Ask, tell: Callable[[str], None]) -> None:
        self._chat = chat
        self._ask = ask
        self._tell = tell

    async def fork(self, wanted: ForkWanted) -> None:
        """Goes on from a token; a reply that is still being written is stopped first."""
        await self._chat.settle()
        if (message := self._shown(wanted.message.id)) is None or not self._may_start():
            return
        session = self._chat.session
        events = session.fork(message, wanted.n_tokens, force_ids=wanted.force_ids, text=wanted.text)
        self._chat.again(self._told(events, f"Forked at token {wanted.n_tokens + 1:,}"))

    async def rewrite(self) -> None:
        """Asks for another beginning of the last reply, and goes on from it."""
        last = next((m for m in reversed(self._chat.session.branch) if m.role is Role.ASSISTANT), None)
        if last is None:
            self._tell("There is no reply to rewrite yet.")
            return
        if self._chat.running:
            self._tell("The start can be rewritten when the reply has ended.")
            return
        text = await self._ask(Rewrite(last.content))
        if text and self._may_start():
            self._chat.again(self._told(self._chat.session.rewrite(last, text), "Rewritten"))

    def _shown(self, message_id: int) -> Message | None:
        return next((message for message in self._chat.session.branch if message.id == message_id), None)

    def _may_start(self) -> bool:
        if not self._chat.can_send:
            self._tell("There is no model that could go on now.")
        return self._chat.can_send

    async def _told(self, events: AsyncGenerator[TurnEvent], what: str) -> AsyncGenerator[TurnEvent]:
        async with aclosing(events) as stream:
            async for event in stream:
                if isinstance(event, GenerationStarted):
                    n_new = event.n_prompt - event.n_cached
                    self._tell(f"{what}: reused {event.n_cached:,}, computed {n_new:,}.")
                elif isinstance(event, ForkReread):
                    self._tell(f"The kept part is by {one_line(event.model)}; the model that is loaded reads it again.")
                yield event
