"""The dock of step mode: candidates, the keys that choose among them, and a line for text to force."""

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
from app.tui.common.keymap import Keymap
from app.tui.step.control import StepControl
from app.tui.step.state import step_lines
from app.tui.widgets.bar import Segment
from app.tui.widgets.entry import LineInput
from app.tui.widgets.line import Line
from app.tui.widgets.lines import Lines

_LETTERS = frozenset("tburjk 0123456789")


class StepPanel(Lines, can_focus=True):
    """The candidates. Its keys are written in the key bar by the screen (`STEP_KEYS`)."""

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
        """Tells whether a character steers the reply here; any other is text for the composer."""
        return char in _LETTERS

    def on_key(self, event: events.Key) -> None:
        """Takes the letters and digits that steer the reply."""
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
        """Lets the next token come."""
        self._control.step()

    def action_take(self) -> None:
        """Takes the alternative under the cursor."""
        self._control.take()

    def action_move(self, by: int) -> None:
        """Moves the cursor."""
        self._control.move(by)

    def action_erase(self) -> None:
        """Takes a digit back."""
        self._control.erase()

    def on_click(self, event: events.Click) -> None:
        """Puts the cursor on a row; twice takes it."""
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

    def __init__(self, control: StepControl, force: Callable[[str], None]) -> None:
        """`force` is given text that was typed to be forced."""
        super().__init__(id="step")
        self._control = control
        self._force = force
        self.panel = StepPanel(control, self._type)
        self.line = LineInput(placeholder="text to force, blanks included; Enter puts it in, Esc leaves")

    def compose(self) -> ComposeResult:
        """Lays the two out."""
        yield self.panel
        yield self.line

    def update(self) -> bool:
        """Shows the state as it is; returns whether the dock has just come or gone."""
        shown = self._control.state.shown
        changed = shown != self.has_class("-shown")
        self.set_class(shown, "-shown")
        if not shown:
            self.leave_line()
        self.panel.redraw()
        return changed

    def leave_line(self) -> bool:
        """Closes the line without using what it holds; False when it was not open."""
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
            self._force(text)


_KEYS = (
    ("Space", "token"),
    ("↑↓ ⏎", "take"),
    ("t", "type"),
    ("b", "ban"),
    ("1–9", "count"),
    ("r", "run on"),
)


def step_hints(keymap: Keymap, *, writing: bool) -> list[Segment]:
    """Returns what the keys do; the first ones are the last to give way. `writing`: the composer has the focus."""
    keys = (("Tab", "to the candidates"), ("⏎", "send after this reply")) if writing else _KEYS
    shown = [Segment(what, "$foreground-muted", "", 90 - place, f"{key} ") for place, (key, what) in enumerate(keys)]
    return [*shown, Segment("stop", "$foreground-muted", "screen.stop", 95, f"{keymap.short('stop')} ")]
