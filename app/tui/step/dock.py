"""The dock of step mode: the candidates, their keys, and a line for text to force."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input

from app.analysis.meter import RunMeter
from app.protocol.events import ModelReady
from app.tui.common.host import ChatHost
from app.tui.common.keymap import Keymap
from app.tui.step.control import StepControl
from app.tui.step.state import step_lines
from app.tui.widgets.bar import Segment
from app.tui.widgets.entry import LineInput
from app.tui.widgets.line import Line
from app.tui.widgets.lines import Lines

_LETTERS = frozenset("tburjk 0123456789")


class StepPanel(Lines, can_focus=True):
    """The candidates. `step_hints` shows its keys in the key bar."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,right", "step", show=False),
        Binding("enter", "take", show=False),
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("backspace", "erase", show=False),
    ]

    def __init__(self, control: StepControl, type_text: Callable[[], None]) -> None:
        super().__init__(id="step-panel")
        self._control = control
        self._type_text = type_text

    def compose_lines(self, meter: RunMeter, model: ModelReady | None, width: int, height: int) -> Sequence[Line]:
        """Returns the title and the candidates around the cursor."""
        return step_lines(self._control.state, width, height)

    @staticmethod
    def takes(char: str) -> bool:
        """Returns whether a character is a key of the panel; any other is text for the composer."""
        return char in _LETTERS

    def on_key(self, event: events.Key) -> None:
        """Handles the letters and digits."""
        control, char = self._control, event.character or ""
        if not self.takes(char):
            return
        match char:
            case "t":
                self._type_text()
            case "b":
                control.ban()
            case "u":
                control.unban()
            case "r":
                control.run_on()
            case "j" | "k":
                control.move(1 if char == "j" else -1)
            case " ":
                control.step()
            case _:
                control.digit(char)
        event.stop()
        event.prevent_default()

    def action_step(self) -> None:
        """Generates the next token."""
        self._control.step()

    def action_take(self) -> None:
        """Forces the candidate under the cursor."""
        self._control.take()

    def action_move(self, by: int) -> None:
        """Moves the cursor."""
        self._control.move(by)

    def action_erase(self) -> None:
        """Deletes the last digit."""
        self._control.erase()

    def on_click(self, event: events.Click) -> None:
        """Moves the cursor to a row; a double click forces it."""
        if (row := self._control.row_at(event.y, self.content_size.height)) is not None:
            self._control.move(row - self._control.state.cursor)
            if event.chain == 2:
                self._control.take()


class StepDock(Vertical):
    """The panel and, while text is typed, a line for it."""

    DEFAULT_CSS = """
    StepDock {
        height: 45%; max-height: 14; min-height: 5; display: none;
        padding: 0 1; margin: 0 1; border-top: heavy $warning;
    }
    StepDock.-shown { display: block; }
    StepDock StepPanel { height: 1fr; width: 1fr; }
    StepDock Input, StepDock Input:focus { height: 1; border: none; padding: 0; display: none; }
    StepDock Input.-shown { display: block; }
    """

    def __init__(self, control: StepControl, host: ChatHost) -> None:
        super().__init__(id="step")
        self._control = control
        self._host = host
        self.panel = StepPanel(control, self._type)
        self.line = LineInput(placeholder="Text to force, spaces included. Enter forces it, Esc closes.")

    def compose(self) -> ComposeResult:
        """Lays the two out."""
        yield self.panel
        yield self.line

    def update(self) -> bool:
        """Shows the state; returns whether the dock has just appeared or disappeared."""
        shown = self._control.state.shown
        changed = shown != self.is_shown
        self.set_class(shown, "-shown")
        if not shown:
            self.leave_line()
        self.panel.redraw()
        return changed

    @property
    def is_shown(self) -> bool:
        """Whether a reply is paused."""
        return self.has_class("-shown")

    def leave_line(self) -> bool:
        """Closes the line and drops its text; returns whether it was open."""
        was_open = self.line.has_class("-shown")
        self.line.remove_class("-shown")
        self.line.value = ""
        if was_open and self._control.state.shown:
            self.panel.focus()
        return was_open

    def _type(self) -> None:
        self.line.add_class("-shown")
        self.line.focus()

    @on(Input.Submitted)
    def _typed(self, event: Input.Submitted) -> None:
        event.stop()
        text = event.value
        self.leave_line()
        if text:
            self._host.run(self._force(text))

    async def _force(self, text: str) -> None:
        if problem := await self._control.force(text):
            self._host.announce(f"The text could not be forced: {problem}", "error")


_KEYS = (
    ("Space", "token"),
    ("↑↓ ⏎", "take"),
    ("t", "type"),
    ("b", "ban"),
    ("1–9", "count"),
    ("r", "resume"),
)


def step_hints(keymap: Keymap, *, writing: bool) -> list[Segment]:
    """Returns the key hints; the first ones stay longest. `writing`: the composer has the focus."""
    keys = (("Tab", "candidates"), ("⏎", "send after this reply")) if writing else _KEYS
    shown = [Segment(what, "$foreground-muted", "", 90 - place, f"{key} ") for place, (key, what) in enumerate(keys)]
    return [*shown, Segment("stop", "$foreground-muted", keymap.action("stop"), 95, f"{keymap.short('stop')} ")]
