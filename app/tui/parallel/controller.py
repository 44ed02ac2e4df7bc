"""Several replies at once: asks how many, streams them, and continues with the one that is picked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing

from app.domain.conversation import Role, UserMessage
from app.domain.errors import TokscopeError
from app.domain.sampling import Preset
from app.session.active_turns import variants
from app.session.events import MessageReturned, MessageStored, StoreFailed
from app.session.send_queue import Chat
from app.tui.common.frame_rate import Pump
from app.tui.common.host import ChatHost
from app.tui.parallel.plan import PlanDialog
from app.tui.parallel.screen import ParallelScreen
from app.tui.transcript.widget import Transcript
from app.tui.widgets.composer import Composer


class ParallelReplies:
    """Runs the dialog, the screen and the requests of several replies, one batch at a time."""

    def __init__(
        self,
        chat: Chat,
        composer: Composer,
        transcript: Transcript,
        pump: Pump,
        presets: Mapping[str, Preset],
        host: ChatHost,
    ) -> None:
        """The replies look like `transcript` and are shown as often as `pump` shows text."""
        self._chat = chat
        self._composer = composer
        self._transcript = transcript
        self._pump = pump
        self._presets = presets
        self._host = host

    async def start(self) -> None:
        """Replies to the draft, or again to the last message if there is no draft."""
        session = self._chat.session
        draft = self._composer.draft
        message = UserMessage(draft) if draft.strip() else None
        last = next((m.content for m in reversed(session.branch) if m.role is Role.USER), None)
        prompt = last if message is None else message.text
        if prompt is None:
            self._host.announce("Write a message first, then press F6.")
            return
        if not self._chat.can_send:
            self._host.announce("The engine is busy. Try again when the reply has ended.")
            return
        presets = {**self._presets, session.settings.preset.name: session.settings.preset}
        plan = await self._host.ask(PlanDialog(prompt, message is None, presets, session.settings.preset.name))
        if plan is None or not self._chat.can_send:
            return
        if message is not None:
            self._composer.take_draft()
        self._chat.run(self._run(prompt, message, variants(plan.presets, plan.n_replies)))

    async def _run(self, prompt: str, message: UserMessage | None, presets: list[Preset]) -> None:
        session = self._chat.session
        before = session.branch[-1] if message is None and session.branch[-1].role is Role.ASSISTANT else None
        screen = ParallelScreen(
            prompt, presets, session.stop, self._pump.shortest_s, self._transcript.code_style, session.engine.model
        )
        streaming = asyncio.create_task(self._stream(screen, message, presets))
        picked = None
        try:
            picked = await self._host.ask(screen)
        finally:
            session.stop()
            await streaming
        replies = screen.replies
        chosen = replies[picked] if picked is not None else before or replies[screen.current]
        try:
            if chosen is not None:
                await session.choose(chosen)
        finally:
            self._host.show_branch(session.branch)

    async def _stream(self, screen: ParallelScreen, message: UserMessage | None, presets: list[Preset]) -> None:
        try:
            async with aclosing(self._chat.session.parallel(message, presets)) as stream:
                async for index, event in stream:
                    if isinstance(event, StoreFailed):
                        self._host.announce(f"Not saved: {event.message}")
                    elif isinstance(event, MessageReturned):
                        self._composer.put_draft(event.message.content)
                    elif not isinstance(event, MessageStored):
                        screen.fold(index, event)
        except TokscopeError as error:
            self._host.announce(error.full_message)
        finally:
            screen.finished()
