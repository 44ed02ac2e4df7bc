"""The player of a recording: its line, its keys and their hints."""

from __future__ import annotations

from app.analysis.recording import Recording
from app.domain.text import one_line
from app.session.send_queue import Chat
from app.tui.common.keymap import Keymap
from app.tui.replay.engine import ReplayClock
from app.tui.widgets.bar import Bar, Segment

_MUTED = "$foreground-muted"
_LOOK_S = 0.1
_NAMED = {"stop": "stop", "palette": "commands", "help": "help", "quit": "quit"}


class Player(Bar):
    """Shows where the recording stands. Space holds it or plays it again, + and - change its speed."""

    DEFAULT_CSS = """
    Player { height: 1; margin: 1 0 0 0; }
    """

    def __init__(self, recording: Recording, clock: ReplayClock, chat: Chat, keymap: Keymap) -> None:
        super().__init__(separator=" · ", id="replay")
        self._recording = recording
        self._clock = clock
        self._chat = chat
        self._keymap = keymap

    def on_mount(self) -> None:
        """Follows the clock."""
        self.show_time()
        self.set_interval(_LOOK_S, self.show_time)

    def press(self, key: str) -> bool:
        """Does what a key says; returns whether it is one of the player's."""
        match key:
            case " " if self._chat.can_regenerate():
                self._chat.regenerate()
            case " ":
                self._clock.hold(held=not self._clock.held)
            case "+" | "=":
                self._clock.change_speed(2.0)
            case "-":
                self._clock.change_speed(0.5)
            case _:
                return False
        return True

    def show_time(self) -> None:
        """Shows the state, the recorded time and the speed."""
        recording, clock = self._recording, self._clock
        end_s = recording.events[-1][0] / 1000
        at_s = min(clock.at_ms / 1000, end_s) if clock.speed else end_s
        running = self._chat.running
        symbol = "■ replay" if not running else "‖ held" if clock.held else "▶ replay"
        speed = f"×{clock.speed:g}" if clock.speed else "at once"
        self.show(
            [
                Segment(symbol, "bold $accent", "", 9),
                Segment(f"{at_s:.1f} of {end_s:.1f} s", "", "", 8),
                Segment(speed, "", "", 7),
                Segment(one_line(recording.source, 40), _MUTED, "", 2),
                Segment(f"recorded {one_line(recording.time[:16].replace('T', ' '))} UTC", _MUTED, "", 1),
            ]
        )

    def hints(self, running: bool) -> list[Segment]:
        """Returns the keys that matter now."""
        space = "again" if not running else "go on" if self._clock.held else "hold"
        hints = [Segment(space, _MUTED, "", 90, "Space "), Segment("speed", _MUTED, "", 80, "+ - ")]
        for n, (command, word) in enumerate(_NAMED.items()):
            if key := self._keymap.short(command):
                hints.append(Segment(word, _MUTED, self._keymap.action(command), 70 - n, f"{key} "))
        return hints
