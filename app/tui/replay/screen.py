"""The chat as a player: the recorded conversation, and the reply as it came. Nothing is sent, nothing is saved."""

from __future__ import annotations

from pathlib import Path

from textual import events
from textual.app import App, ComposeResult

from app.analysis.recording import Recording
from app.client.engine import Engine
from app.domain.conversation import Role, UserMessage
from app.domain.text import one_line
from app.models.locate import LocatedModel
from app.session.loading import EngineLoader
from app.session.session import Session
from app.tui.chat.screen import ChatScreen
from app.tui.common import frame_rate as pace
from app.tui.common.keymap import Keymap
from app.tui.common.services import Services
from app.tui.common.theme_manager import ThemeManager
from app.tui.replay.engine import ReplayClock
from app.tui.widgets.bar import Bar, Segment

_MUTED = "$foreground-muted"


class _RecordedModel(EngineLoader):
    """Finds the model of a recording, wherever its file is now."""

    def __init__(self, engine: Engine, services: Services, recording: Recording, screen: ChatScreen) -> None:
        super().__init__(engine, services.catalogue, None, screen.refresh_state)
        self._recording = recording

    def find(self, wanted: str | None, draft: str | None) -> LocatedModel:
        """Returns what the recording says of its model."""
        model = self._recording.model
        path = Path(model.ready.path)
        return LocatedModel(name=model.name, title=one_line(model.title), path=path, options=model.options)


class ReplayScreen(ChatScreen):
    """See the module. Space holds it or plays it again, + and - change its speed."""

    DEFAULT_CSS = """
    ReplayScreen #composer { display: none; }
    ReplayScreen #replay { height: 1; margin: 1 0 0 0; }
    """

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
        self._recording = recording  # the loader asks for it
        super().__init__(host, services, session, keymap, themes)
        self._clock = clock
        self.player = Bar(separator=" · ", id="replay")

    def make_loader(self) -> EngineLoader:
        """What finds the recorded model."""
        return _RecordedModel(self._services.engine, self._services, self._recording, self)

    def compose(self) -> ComposeResult:
        """The chat with the player's line above its keys."""
        for widget in super().compose():
            if widget is self.state.keys:
                yield self.player
            yield widget

    def begin(self) -> None:
        """Plays the recording."""
        if not self._host.is_headless:
            self.call_later(pace.warm_up)
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
        """Plays with the clock; the letters of commands work, and nothing is typed."""
        if not event.is_printable or not event.character:
            return
        event.stop()
        event.prevent_default()
        match event.character:
            case " " if not self.chat.running:
                self.replies.regenerate()
            case " ":
                self._clock.hold(held=not self._clock.held)
            case "+" | "=":
                self._clock.change_speed(2.0)
            case "-":
                self._clock.change_speed(0.5)
            case letter:
                if command := self.keymap.of_letter(letter):
                    self.call_later(self.action_command, command.id)
        self.refresh_state()

    def refresh_state(self) -> None:
        """Shows the chat's state, with the player's in place of the engine's."""
        super().refresh_state()
        self._show_player()

    def refresh_panels(self) -> None:
        """Shows the figures and where the clock stands."""
        super().refresh_panels()
        self._show_player()

    def _show_player(self) -> None:
        recording, clock = self._recording, self._clock
        end_s = recording.events[-1][0] / 1000
        at_s = min(clock.at_ms / 1000, end_s) if clock.speed else end_s
        running = self.chat.running and not clock.held
        symbol = "▶ replay" if running else "‖ held" if self.chat.running else "■ replay"
        speed = f"×{clock.speed:g}" if clock.speed else "at once"
        self.player.show(
            [
                Segment(symbol, "bold $accent", "", 9),
                Segment(f"{at_s:.1f} of {end_s:.1f} s", "", "", 8),
                Segment(speed, "", "", 7),
                Segment(one_line(recording.source, 40), _MUTED, "", 2),
                Segment(f"recorded {one_line(recording.time[:16].replace('T', ' '))} UTC", _MUTED, "", 1),
            ]
        )
        keys = [("Space", "hold" if running else "go on" if self.chat.running else "again", 90), ("+ -", "speed", 80)]
        named = {"stop": "stop", "palette": "commands", "help": "help", "quit": "quit"}
        hints = [Segment(word, _MUTED, "", weight, f"{key} ") for key, word, weight in keys]
        for n, (command, word) in enumerate(named.items()):
            if key := self.keymap.short(command):
                hints.append(Segment(word, _MUTED, self.keymap.action(command), 70 - n, f"{key} "))
        self.state.keys.show(hints)
