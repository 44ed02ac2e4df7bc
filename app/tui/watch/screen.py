"""One panel as large as the screen, and the dialog that shows, hides and opens panels by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from app.analysis.ending import ReplyContext
from app.analysis.meter import RunMeter
from app.domain.trace import Origin, TokenTrace
from app.protocol.events import ModelReady
from app.tui.common.safe import SafeScreen
from app.tui.dialogs.picker import Picker, PickerRow, matches
from app.tui.panels.choice import PanelChoice, Visibility
from app.tui.panels.pages import FIGURES, PAGES, page
from app.tui.panels.registry import PANELS
from app.tui.tokens.reply import ReplyTokens
from app.tui.tokens.tint import Tint, mark
from app.tui.widgets.bar import Bar, Segment
from app.tui.widgets.line import Line
from app.tui.widgets.lines import Lines

_NAMES = tuple(PAGES)


def _legend() -> Line:
    line: Line = ()
    for origin, words in ((Origin.DRAFT, "draft accepted"), (Origin.BONUS, "bonus"), (Origin.SAMPLED, "sampled")):
        token = TokenTrace(0, "", 0.0, 0.0, 0.0, 0, 0.0, origin=origin)
        line = (*line, mark(token, Tint.ORIGIN, 0.0), (f" {words}  ", "dim"))
    return (*line, ("⟨x⟩", "ghost"), (" draft rejected", "dim"))


class Page(Lines):
    """The figures of the panel that is open."""

    DEFAULT_CSS = "Page { height: 1fr; padding: 0 1; }"

    def __init__(self, name: str) -> None:
        super().__init__(id="page")
        self.panel = name

    def compose_lines(self, meter: RunMeter, model: ModelReady | None, width: int, height: int) -> Sequence[Line]:
        """Returns the page."""
        return page(self.panel, meter, model, self.setting, width, height)


class Legend(Lines):
    """What the marks under the tokens mean."""

    DEFAULT_CSS = "Legend { height: 1; padding: 0 1; }"

    def compose_lines(self, meter: RunMeter, model: ModelReady | None, width: int, height: int) -> Sequence[Line]:
        """Returns the one line."""
        return [_legend()]


class WatchScreen(SafeScreen):
    """Shows one panel. Call `show` when figures change; `left` receives the panel that was seen last."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f7,q", "leave", show=False, priority=True),
        Binding("right,tab,l", "turn(1)", show=False, priority=True),
        Binding("left,shift+tab,h", "turn(-1)", show=False, priority=True),
        Binding("c", "wish", show=False),
        Binding("d", "speculate", show=False),
    ]
    CSS = """
    WatchScreen { background: $background; }
    WatchScreen #tabs { background: $panel; }
    WatchScreen #hints { height: 1; padding: 0 1; color: $foreground-muted; }
    WatchScreen #flow { padding: 0 1; }
    WatchScreen.-flow #page { height: 50%; min-height: 8; }
    WatchScreen #flow, WatchScreen #legend { display: none; }
    WatchScreen.-flow #flow, WatchScreen.-flow #legend { display: block; }
    """

    def __init__(
        self,
        name: str,
        choice: PanelChoice,
        *,
        refresh: Callable[[], None],
        changed: Callable[[], None],
        speculate: Callable[[], None] | None,
        left: Callable[[str], None],
    ) -> None:
        """Takes what it asks of the chat as functions.

        Args:
            name: the panel to begin with.
            choice: what is wanted of each panel.
            refresh: calls `show` with the figures of now.
            changed: called after each new choice.
            speculate: turns speculation on or off; None if that cannot be done.
            left: hears the name of the panel that was open when the screen is left.
        """
        super().__init__()
        self._choice = choice
        self._refresh, self._changed, self._speculate, self._left = refresh, changed, speculate, left
        self.page = Page(name)
        self.flow = ReplyTokens(id="flow")
        self.flow.tint, self.flow.ghosts, self.flow.follow = Tint.ORIGIN, True, True
        self.legend = Legend(id="legend")
        self.tabs = Bar(id="tabs")
        self.hints = Bar(id="hints", separator="   ")

    def compose(self) -> ComposeResult:
        """Lays the screen out."""
        yield self.tabs
        yield self.page
        yield self.legend
        yield self.flow
        yield self.hints

    def on_mount(self) -> None:
        """Shows the first page."""
        self.open(self.page.panel)

    @property
    def about(self) -> str:
        """The page's command."""
        return f"watch_{self.page.panel}"

    def open(self, name: str) -> None:
        """Turns to a panel's page."""
        self.page.panel = name
        at = _NAMES.index(name)
        self.tabs.show([self._tab(other, at) for other in range(len(_NAMES))])
        self.set_class(PAGES[name][1].shows_tokens, "-flow")
        self._show_hints()
        self._refresh()
        self.page.redraw()

    def show(self, meter: RunMeter, model: ModelReady | None, setting: ReplyContext) -> None:
        """Shows the figures of now."""
        self.page.update(meter, model, setting)
        if PAGES[self.page.panel][1].shows_tokens:
            self.flow.show(tuple(meter.tokens))
            self.legend.update(meter, model, setting)

    def action_turn(self, n: int) -> None:
        """Goes `n` panels on."""
        self.open(_NAMES[(_NAMES.index(self.page.panel) + n) % len(_NAMES)])

    def action_open(self, name: str) -> None:
        """Turns to the panel that was clicked."""
        self.open(name)

    def action_wish(self) -> None:
        """Changes when this panel is in the column."""
        if self.page.panel == FIGURES.name:
            return
        self._choice.change(self.page.panel)
        self._show_hints()
        self._changed()

    def action_speculate(self) -> None:
        """Turns speculation on or off."""
        if self._speculate is not None:
            self._speculate()
            self._refresh()

    def action_leave(self) -> None:
        """Goes back to the chat."""
        self._left(self.page.panel)
        self.dismiss(None)

    def _tab(self, other: int, at: int) -> Segment:
        name = _NAMES[other]
        here = other == at
        title = PAGES[name][0].title
        text = f"▸{title}" if here else title
        return Segment(text, "bold" if here else "$foreground-muted", f"screen.open('{name}')", -abs(other - at))

    def _show_hints(self) -> None:
        panel = self.page.panel
        hints = [Segment(" panel", lead="← →", weight=3)]
        if panel != FIGURES.name:
            hints.append(Segment(f" in the column: {self._choice.wish(panel)}", lead="c", weight=1))
        if PAGES[panel][1].shows_tokens and self._speculate is not None:
            hints.append(Segment(" speculation", lead="d", weight=2))
        self.hints.show([*hints, Segment(" close", lead="Esc", weight=4)])


class PanelPicker(Picker):
    """Enter changes what is wanted of a panel and stays. Result: the name of the panel to open, or None."""

    TITLE_TEXT: ClassVar[str] = "Panels"
    HINTS: ClassVar[str] = "Enter auto, always, hidden   F7 open large   Esc close"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("f7", "open", show=False, priority=True)]

    def __init__(self, choice: PanelChoice, changed: Callable[[], None]) -> None:
        """`changed` is called after each new choice."""
        super().__init__()
        self._choice = choice
        self._changed = changed

    async def find(self, query: str) -> Sequence[PickerRow]:
        """Returns the panels whose name or purpose has the words of `query`."""
        wishes = {panel.name: self._choice.wish(panel.name) for panel in PANELS}
        return [
            PickerRow(
                panel.name, panel.title, wishes[panel.name], panel.help, muted=wishes[panel.name] is Visibility.HIDDEN
            )
            for panel in PANELS
            if matches(query, panel.name, panel.title, panel.help)
        ]

    def choose(self, row: PickerRow) -> None:
        """Changes the visibility; the dialog stays open."""
        self._choice.change(row.id)
        self._changed()
        self.call_later(self.refill, row.id)

    def action_open(self) -> None:
        """Ends the dialog with the panel under the cursor."""
        if (row := self.highlighted) is not None:
            self.dismiss(row.id)
