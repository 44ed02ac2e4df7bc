"""The chat over a recording: the recorded conversation, and the reply as it came. Nothing is sent or saved."""

from __future__ import annotations

from textual import events
from textual.app import App

from app.analysis.recording import Recording
from app.domain.conversation import Role, UserMessage
from app.session.session import Session
from app.tui.chat.screen import ChatScreen
from app.tui.common import frame_rate
from app.tui.common.keymap import Keymap
from app.tui.common.services import Services
from app.tui.common.theme_manager import ThemeManager
from app.tui.replay.engine import ReplayClock
from app.tui.replay.player import Player


class ReplayScreen(ChatScreen):
    """Has the player's line above its keys, and no composer."""

    DEFAULT_CSS = "ReplayScreen #composer { display: none; }"

    def __init__(
        self,
        host: App[int],
        services: Services,
        session: Session,
        keymap: Keymap,
        themes: ThemeManager,
        recording: Recording,
        clock: ReplayClock,
    ) -> None:
        super().__init__(host, services, session, keymap, themes)
        self._recording = recording
        self.player = Player(recording, clock, self.chat, keymap)
        self.state.hints = self.player.hints

    def begin(self) -> None:
        """Plays the recording."""
        if not self._host.is_headless:
            self.call_later(frame_rate.warm_up)
        self.mount(self.player, before=self.state.keys)
        self.transcript.focus()
        self.run(self._play())

    async def _play(self) -> None:
        if await self._session.open_last():
            self.show_branch(self._session.branch)
        model = await self.loader.load(None)
        if model is not None:
            self.adopt(model)
        question = next((m.content for m in reversed(self._recording.messages) if m.role is Role.USER), "")
        self.chat.submit(UserMessage(question))

    async def on_key(self, event: events.Key) -> None:
        """Gives a key to the player; other letters may be commands, and nothing is typed."""
        if not event.is_printable or not event.character:
            return
        event.stop()
        event.prevent_default()
        if not self.player.press(event.character) and (command := self.keymap.of_letter(event.character)):
            self.call_later(self.action_command, command.id)
        self.refresh_state()
        self.player.show_time()
