"""A dialog that picks one row of many: type to filter, Enter to choose."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from app.config.writer import write_setting
from app.domain.errors import ConfigError, TokscopeError
from app.domain.text import one_line, safe_text
from app.tui.common.safe import Dialog
from app.tui.widgets.entry import LineInput

_AGAIN_S = 1.0
"""Time until a search that failed is tried again."""
_N_PROBLEM_LINES = 4
_OTHER_LINES = 13
"""Lines of a dialog besides its list and its detail: border, padding, title, field, hints, and margin."""
_OTHER_LINES_LOW = 6
"""The same below `LOW` lines, where `app.tcss` drops the margin; the hints may need two."""
LOW = 18
WIDTH, MAX_WIDTH, FRAME = 78, 0.96, 6
"""Width of a dialog, its largest share of the screen, and the cells of border and padding."""


@dataclass(frozen=True)
class PickerRow:
    """One choice. Its texts are made safe here and taken literally."""

    id: str
    title: str
    tail: str = ""
    """Shown at the right, muted."""
    detail: str = ""
    """Shown below the list while the row is highlighted; may have several lines."""
    current: bool = False
    muted: bool = False


def matches(query: str, *texts: str) -> bool:
    """Returns whether every word of `query` is in `texts`, ignoring case."""
    haystack = " ".join(texts).casefold()
    return all(word in haystack for word in query.casefold().split())


class Picker(Dialog[str]):
    """The base of all pickers. Result: the id of the chosen row, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move('cursor_up')", show=False),
        Binding("down", "move('cursor_down')", show=False),
        Binding("pageup", "move('page_up')", show=False, priority=True),
        Binding("pagedown", "move('page_down')", show=False, priority=True),
    ]

    TITLE_TEXT: ClassVar[str] = ""
    PLACEHOLDER: ClassVar[str] = "type to find"
    NOTHING: ClassVar[str] = "nothing found"
    HINTS: ClassVar[str] = "Enter choose   Esc close"
    N_DETAIL_LINES: ClassVar[int] = 1

    def __init__(self) -> None:
        super().__init__()
        # Kept, not looked up: what is to be shown may come before they are mounted and after they are gone.
        self.heading = Static(self.TITLE_TEXT, classes="dialog-title", markup=False)
        self._line = LineInput(placeholder=self.PLACEHOLDER, classes="dialog-find", select_on_focus=False)
        self._options = OptionList(classes="dialog-list", markup=False)
        self._detail = Static("", classes="dialog-detail", markup=False)
        self._rows: dict[str, PickerRow] = {}
        self._failed = False
        """Whether the detail says what went wrong."""

    @abstractmethod
    async def find(self, query: str) -> Sequence[PickerRow]:
        """Returns the rows for what was typed. A TokscopeError is shown, and the search is tried again."""

    def compose(self) -> ComposeResult:
        """Title, text field, list, detail and key hints."""
        with Vertical(classes="dialog"):
            yield self.heading
            yield self._line
            yield self._options
            yield self._detail
            yield Static(self.HINTS, classes="dialog-hints", markup=False)

    async def on_mount(self) -> None:
        """Shows the rows, the current one highlighted."""
        self._fit()
        await self.refill()
        self._line.focus()

    async def refill(self, keep: str | None = None) -> None:
        """Searches again; highlights the row `keep`, else the current one, else the first."""
        if self._is_left:
            return
        rows: Sequence[PickerRow] = ()
        problem = None
        try:
            rows = await self.find(self._line.value.strip())
        except TokscopeError as error:
            problem = error
        if self._is_left:
            return
        if problem:
            self.show_problem(problem)
            self.set_timer(_AGAIN_S, self._find_again)
        else:
            self._fit()
        self._rows = {row.id: row for row in rows}
        options = self._options
        options.clear_options()
        options.add_options([Option(self._prompt(row), id=row.id) for row in rows])
        if not rows:
            if not self._failed:
                self._show_detail(self.NOTHING)
            return
        wanted = [row.id for row in rows if row.id == keep] or [row.id for row in rows if row.current]
        options.highlighted = options.get_option_index(wanted[0]) if wanted else 0

    @property
    def rows(self) -> list[PickerRow]:
        """The rows that were found."""
        return list(self._rows.values())

    @property
    def highlighted(self) -> PickerRow | None:
        """The row under the cursor."""
        option = self._options.highlighted_option
        return self._rows.get(option.id or "") if option is not None else None

    def action_move(self, how: str) -> None:
        """Moves the cursor of the list while the text field keeps the focus."""
        getattr(self._options, f"action_{how}")()

    async def on_resize(self, _event: events.Resize) -> None:
        """Fits the list and its rows to the new size."""
        self._fit()
        if self._rows:
            await self.refill(self.highlighted.id if self.highlighted else None)

    @on(Input.Changed)
    async def _typed(self, _event: Input.Changed) -> None:
        await self.refill()

    @on(Input.Submitted)
    def _entered(self, _event: Input.Submitted) -> None:
        if (row := self.highlighted) is not None:
            self.choose(row)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        if (row := self._rows.get(event.option_id or "")) is not None:
            self.choose(row)

    @on(OptionList.OptionHighlighted)
    def _moved(self, event: OptionList.OptionHighlighted) -> None:
        if (row := self._rows.get(event.option_id or "")) is not None:
            if self._failed:
                self._fit()
            self._show_detail(row.detail)
            self.row_highlighted(row)

    def choose(self, row: PickerRow) -> None:
        """Closes the dialog with a row."""
        self.dismiss(row.id)

    def show_problem(self, error: TokscopeError) -> None:
        """Shows below the list what went wrong, until another row is highlighted or found."""
        if self._is_left:
            self.notify(safe_text(error.full_message), severity="error", markup=False)
            return
        self._fit(_N_PROBLEM_LINES)
        self._failed = True
        self._show_detail(safe_text(error.full_message))

    @property
    def _is_left(self) -> bool:
        """Whether it was closed while a search ran; its widgets are gone then."""
        return self not in self.app.screen_stack  # pyright: ignore[reportUnknownMemberType]  (untyped in textual)

    async def _find_again(self) -> None:
        if self._failed and not self._rows:
            await self.refill()

    def row_highlighted(self, row: PickerRow) -> None:
        """Called with the row under the cursor."""

    def _fit(self, n_detail: int | None = None) -> None:
        self._failed = False
        # Everything but the list has a fixed height that must not be cut; the detail shrinks first.
        room = self.size.height - (_OTHER_LINES_LOW if self.size.height < LOW else _OTHER_LINES)
        n_detail = max(0, min(self.N_DETAIL_LINES if n_detail is None else n_detail, room - 2))
        self._detail.styles.height = n_detail
        self._options.styles.max_height = max(1, room - n_detail)

    def _show_detail(self, text: str) -> None:
        self._detail.update(Content(text))

    def _prompt(self, row: PickerRow) -> Content:
        # The list has no columns: the tail is pushed to the right by hand.
        n_columns = self._options.scrollable_content_region.width
        # Before the first layout: the width that `.dialog` will leave, or narrower rows would flash up.
        n_columns = n_columns or min(WIDTH, int(self.size.width * MAX_WIDTH)) - FRAME
        width = max(20, n_columns - 2)
        tail = Content(one_line(row.tail, width // 2))
        mark = "● " if row.current else "  "
        room = width - tail.cell_length - len(mark) - 2
        title = Content(one_line(row.title, 300)).truncate(room, ellipsis=True)
        gap = " " * max(2, width - len(mark) - title.cell_length - tail.cell_length)
        style = "$foreground-muted" if row.muted else ""
        return Content.assemble((mark, "$accent"), title.stylize(style), gap, tail.stylize("$foreground-muted"))


class DefaultPicker(Picker):
    """The base of the model and the preset picker."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+d", "make_default", show=False, priority=True)]
    HINTS: ClassVar[str] = "Enter choose   Ctrl+D make default   Esc close"
    SETTING: ClassVar[str] = ""
    """The key of `config.toml`."""

    def __init__(self, defaults: dict[str, str]) -> None:
        """`defaults` are the current ones by their settings; a new one is stored in it."""
        super().__init__()
        self._defaults = defaults

    async def action_make_default(self) -> None:
        """Makes the row under the cursor the default of new chats and `tok ask`."""
        if (row := self.highlighted) is None or not self.may_be_default(row):
            return
        try:
            path = write_setting(self.SETTING, row.id)
        except ConfigError as error:
            self.notify(safe_text(error.full_message), severity="error", markup=False)
            return
        self._defaults[self.SETTING] = row.id
        self.notify(safe_text(f"{row.id} is the default now ({self.SETTING} in {path})."), markup=False)
        await self.refill(row.id)

    def may_be_default(self, row: PickerRow) -> bool:
        """Returns whether a row can be the default."""
        return bool(row.id)

    def marked(self, name: str, tail: str) -> str:
        """Returns the tail of a row, marked if it is the default."""
        return " · ".join(filter(None, ("default" if name == self._defaults[self.SETTING] else "", tail)))
