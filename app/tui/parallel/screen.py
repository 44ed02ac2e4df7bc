"""Several replies to one message, side by side as they stream, to pick one of; on narrow screens they are tabs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid

from app.domain import units
from app.domain.conversation import Message
from app.domain.sampling import Preset
from app.domain.text import one_line
from app.protocol.events import GenerationFinished, ModelReady, SlotsHeld, TokensGenerated
from app.session.events import ReplyFinished, ReplyStarted, TurnEvent
from app.tui.common.safe import Dialog
from app.tui.parallel.column import Column, ParallelCells, arrange, tab_segments
from app.tui.parallel.state import ParallelPump, ParallelReply, together_tps
from app.tui.transcript.notes import end_note, failed, waits
from app.tui.widgets.bar import Bar, Segment

_MUTED = "$foreground-muted"
_HEAD = 54
"""Cells of the head line beside the prompt."""


class ParallelScreen(Dialog[int]):
    """Result: the index of the reply to go on with; None when none was picked."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,shift+tab", "turn(-1)", show=False, priority=True),
        Binding("right,tab", "turn(1)", show=False, priority=True),
        Binding("enter", "pick", show=False, priority=True),
    ]
    DEFAULT_CSS = """
    ParallelScreen { align: left top; background: $background; }
    ParallelScreen #together { background: $panel; }
    ParallelScreen #tabs { display: none; }
    ParallelScreen.-tabs #tabs { display: block; }
    ParallelScreen Grid { height: 1fr; grid-gutter: 0; }
    ParallelScreen Column { height: 1fr; border-top: solid $panel; padding: 0 1; }
    ParallelScreen Column.-current { border-top: heavy $primary; }
    ParallelScreen Transcript {
        scrollbar-background: $background; scrollbar-background-hover: $background;
        scrollbar-background-active: $background; scrollbar-color: $panel;
    }
    ParallelScreen.-tabs Column { display: none; }
    ParallelScreen.-tabs Column.-current { display: block; }
    """

    def __init__(
        self,
        prompt: str,
        presets: Sequence[Preset],
        stop: Callable[[], None],
        pump_s: float,
        code_style: str,
        model: ModelReady | None = None,
    ) -> None:
        """`stop` ends every reply; `pump_s` is the shortest time between two flushes; `model` makes the replies."""
        super().__init__()
        self._prompt = prompt
        self._stop = stop
        self._replies = [ParallelReply(preset) for preset in presets]
        self._columns = [Column(number, reply, code_style) for number, reply in enumerate(self._replies, 1)]
        self._pump = ParallelPump(self._flush, self._refresh_figures)
        self._pump.shortest_s = pump_s
        self.current = 0
        self.picked: int | None = None
        self.running = True
        self._head = Bar(separator=" · ", id="together")
        self._tabs = Bar(separator="  ", id="tabs")
        self._model = model
        self._cells = ParallelCells(id="parallel-cells")
        self._keys = Bar(id="parallel-keys")

    def compose(self) -> ComposeResult:
        """Lays the widgets out."""
        yield self._head
        yield self._tabs
        with Grid():
            yield from self._columns
        yield self._cells
        yield self._keys

    def on_mount(self) -> None:
        """Begins to show what comes."""
        self._arrange()
        self._pump.start()
        self.action_show(0)

    def on_unmount(self) -> None:
        """Ends the flushing."""
        self._pump.close()

    def on_resize(self, _event: events.Resize) -> None:
        """Lays the columns out for the new size."""
        self._arrange()

    def on_screen_resume(self) -> None:
        """Goes on with the awaited reply, where it was complete before what lay above was closed."""
        if self.picked is not None and self._complete(self.picked):
            self._go_on_with(self.picked)

    @property
    def about(self) -> str:
        """See `SafeScreen`."""
        return "branches"

    @property
    def replies(self) -> list[Message | None]:
        """The replies as they ended; None for one that never began."""
        return [reply.finished or reply.message for reply in self._replies]

    # What comes

    def fold(self, index: int, event: TurnEvent) -> None:
        """Shows one event of one reply."""
        column = self._columns[index]
        self._replies[index].fold(event)
        if isinstance(event, ReplyStarted):
            column.transcript.begin_reply(event.message)
        elif isinstance(event, TokensGenerated):
            column.transcript.thinking = event.thinking
        elif isinstance(event, SlotsHeld):
            column.transcript.notice(waits(event))
        elif isinstance(event, GenerationFinished) and event.error and self._replies[index].message is None:
            column.transcript.notice("\n".join(filter(None, (event.error, event.hint))), failed=True)
        elif isinstance(event, ReplyFinished):
            column.flush()
            column.transcript.thinking = event.message.thinking
            column.transcript.finish_reply(end_note(event.message), failed=failed(event.message))
            if index == self.picked:
                self._go_on_with(index)

    def finished(self) -> None:
        """No more will come."""
        self.running = False
        self._pump.stop()
        if self.picked is not None:
            self._go_on_with(self.picked)

    # What the user does

    def action_show(self, index: int) -> None:
        """Goes to a reply."""
        self.current = index
        for place, column in enumerate(self._columns):
            column.set_class(place == index, "-current")
        self._columns[index].flush()
        self._columns[index].transcript.focus()
        self._refresh_figures()

    def action_turn(self, by: int) -> None:
        """Goes to the next reply, or the one before; after the last comes the first."""
        self.action_show((self.current + by) % len(self._columns))

    def action_pick(self) -> None:
        """Goes on with the current reply, at once or when it is complete."""
        self.pick(self.current)

    def pick(self, index: int) -> None:
        """Goes on with a reply, at once or when it is complete."""
        if self._complete(index):
            self._go_on_with(index)
            return
        self.picked = index
        self.action_show(index)

    def _complete(self, index: int) -> bool:
        return self._replies[index].finished is not None or not self.running

    def _go_on_with(self, index: int) -> None:
        # It is the uppermost screen that a dismissal closes: the help above, or the second time the chat beneath.
        if self.is_active:
            self.picked = None
            self.dismiss(index)

    def action_cancel(self) -> None:
        """Stops every reply; when they have ended, leaves without picking one."""
        if self.running:
            self._stop()
        else:
            self.dismiss(None)

    def on_key(self, event: events.Key) -> None:
        """Picks by number."""
        char = event.character or ""
        if char.isascii() and char.isdigit() and 1 <= int(char) <= len(self._columns):
            event.stop()
            self.pick(int(char) - 1)

    def on_click(self, event: events.Click) -> None:
        """Goes to the reply under the mouse."""
        under = next(
            (c for c in self._columns if event.widget is not None and c in event.widget.ancestors_with_self), None
        )
        if under is not None and under.number - 1 != self.current:
            self.action_show(under.number - 1)

    # Showing

    def _arrange(self) -> None:
        found = arrange(len(self._columns), self.size.width, self.size.height - 4)
        self.set_class(found.tabs, "-tabs")
        grid = self.query_one(Grid)
        grid.styles.grid_size_columns = found.n_columns
        grid.styles.grid_size_rows = found.n_rows
        self._refresh_figures()

    def _flush(self) -> None:
        for column in self._columns:
            if column.display and (column.has_class("-current") or not self.has_class("-tabs")):
                column.flush()

    def _refresh_figures(self) -> None:
        for index, column in enumerate(self._columns):
            column.show_title(index == self.current, index == self.picked)
        self._tabs.show(tab_segments(self._replies, self.current, self.picked))
        self._cells.update(self._replies[self.current].meter, self._model)
        left = [
            Segment(f"{len(self._replies)} replies", "bold $primary", "", 4),
            Segment(f"{units.rate(together_tps(self._replies))} together", "$accent", "", 3),
            Segment(one_line(self._prompt, max(1, self.size.width - _HEAD)), _MUTED, "", 1),
        ]
        n_running = sum(reply.finished is None for reply in self._replies) if self.running else 0
        state = (
            Segment(f"◉ {n_running} replying", "$accent", "", 9) if n_running else Segment("● done", "$success", "", 9)
        )
        self._head.show(left, [state])
        self._keys.show(self._hints())

    def _hints(self) -> list[Segment]:
        if self.picked is not None:
            words = [("", f"★ continues with {self.picked + 1} when it is complete", ""), ("Esc", "stop all", "cancel")]
        else:
            words = [
                (f"1–{len(self._columns)}", "pick", ""),
                ("⏎", "pick this", "pick"),
                ("← →", "another", "turn(1)"),
                ("↑ ↓", "scroll", ""),
                ("Esc", "stop all" if self.running else "leave", "cancel"),
            ]
        return [
            Segment(what, _MUTED, f"screen.{action}" if action else "", len(words) - place, f"{key} " if key else "")
            for place, (key, what, action) in enumerate(words)
        ]
