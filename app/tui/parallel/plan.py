"""How many replies are written at once, with which presets; and the dialog that asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from app.domain.sampling import Preset
from app.domain.text import one_line
from app.tui.common.safe import Dialog
from app.tui.dialogs.picker import FRAME, LOW, MAX_WIDTH, WIDTH

MIN_REPLIES, MAX_REPLIES = 2, 8


@dataclass(frozen=True)
class ParallelPlan:
    """What the user asked for."""

    presets: tuple[Preset, ...]
    n: int

    @property
    def n_replies(self) -> int:
        """How many replies: every preset at least once, never fewer than two."""
        return min(MAX_REPLIES, max(self.n, len(self.presets), MIN_REPLIES))

    def words(self) -> str:
        """Returns the plan in words."""
        n, k = self.n_replies, len(self.presets)
        if k == 1:
            greedy = self.presets[0].sampling.temperature == 0
            return f"{n} replies of one preset" + (
                "; greedy, so all will be the same" if greedy else ", each with another seed"
            )
        return f"{n} replies of {k} presets" + (", in turn" if n > k else "")


_DEFAULT_N = 4
_OTHER_LINES, _OTHER_LINES_LOW = 14, 10
"""Lines of the dialog beside its list, with air around them and, below `LOW` lines, without."""
_N_NAME = 23
"""Cells of a row before the description."""


class PlanDialog(Dialog[ParallelPlan]):
    """Result: the plan; None when it is left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "count(-1)", show=False, priority=True),
        Binding("right", "count(1)", show=False, priority=True),
        Binding("space", "check", show=False, priority=True),
        Binding("enter", "start", show=False, priority=True),
    ]

    DEFAULT_CSS = "PlanDialog OptionList:focus { background-tint: $foreground 0%; }"

    def __init__(self, prompt: str, again: bool, presets: Mapping[str, Preset], current: str) -> None:
        """`prompt` is what will be answered, `again` whether it was answered before."""
        super().__init__()
        self._prompt, self._again = prompt, again
        self._presets = presets
        self._current = current
        self._checked = [current]
        self._n = _DEFAULT_N

    def compose(self) -> ComposeResult:
        """Lays the dialog out."""
        with Vertical(classes="dialog"):
            yield Static("Several replies at once", classes="dialog-title", markup=False)
            yield Static(self._question(), id="plan-prompt", markup=False)
            yield Static("", id="plan-words", markup=False)
            yield OptionList(classes="dialog-list", markup=False)
            yield Static(
                "← → or 2–8 how many   Space choose a preset   Enter start   Esc close",
                classes="dialog-hints",
                markup=False,
            )

    def on_mount(self) -> None:
        """Shows the presets, the cursor on the current one."""
        options = self.query_one(OptionList)
        options.add_options([Option(self._row(name), id=name) for name in self._presets])
        options.highlighted = list(self._presets).index(self._current) if self._current in self._presets else 0
        options.focus()
        self._fit()

    def on_resize(self, _event: events.Resize) -> None:
        """Fits the list and its rows to the new size."""
        self._fit()

    def _fit(self) -> None:
        # All but the list has a fixed height, the hints and the words on two lines where it is narrow.
        others = _OTHER_LINES_LOW if self.size.height < LOW else _OTHER_LINES
        self.query_one(OptionList).styles.max_height = max(1, self.size.height - others)
        self._show()

    @property
    def plan(self) -> ParallelPlan:
        """What would be started now."""
        return ParallelPlan(tuple(self._presets[name] for name in self._checked), self._n)

    def action_count(self, by: int) -> None:
        """Makes them more or fewer; each chosen preset has one at least."""
        least = max(MIN_REPLIES, len(self._checked))
        self._n = max(least, min(MAX_REPLIES, self.plan.n_replies + by))
        self._show()

    def action_check(self) -> None:
        """Takes the preset under the cursor in or out; one always stays."""
        option = self.query_one(OptionList).highlighted_option
        self._toggle(option.id or "" if option is not None else "")

    def action_start(self) -> None:
        """Ends the dialog with the plan."""
        self.dismiss(self.plan)

    def on_key(self, event: events.Key) -> None:
        """Takes a number."""
        char = event.character or ""
        if char.isascii() and char.isdigit() and MIN_REPLIES <= int(char) <= MAX_REPLIES:
            event.stop()
            self._n = int(char)
            self._show()

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self._toggle(event.option_id or "")

    def _toggle(self, name: str) -> None:
        if name in self._checked and len(self._checked) > 1:
            self._checked.remove(name)
        elif name not in self._checked and name in self._presets and len(self._checked) < MAX_REPLIES:
            self._checked.append(name)
        self._show()

    def _show(self) -> None:
        plan = self.plan
        self.query_one("#plan-words", Static).update(
            Content.assemble(("◂ ", "$accent"), (str(plan.n_replies), "bold"), (" ▸  ", "$accent"), plan.words(), "\n")
        )
        options = self.query_one(OptionList)
        for name in self._presets:
            options.replace_option_prompt(name, self._row(name))

    def _row(self, name: str) -> Content:
        mark = f"[{self._checked.index(name) + 1}]" if name in self._checked else "[ ]"
        room = min(WIDTH, int(self.size.width * MAX_WIDTH)) - FRAME - 2 - _N_NAME
        description = one_line(self._presets[name].description, max(1, min(46, room)))
        return Content.assemble(
            (f"{mark} ", "$accent"), f"{one_line(name, 18):<19}", (description, "$foreground-muted")
        )

    def _question(self) -> Content:
        how = "again: " if self._again else ""
        return Content(f"{how}{one_line(self._prompt, 68)}\n").stylize("$foreground-muted")
