"""One of several replies on the screen, how several share its width, and the KV cells that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from textual.app import ComposeResult
from textual.containers import Vertical

from app.analysis.ending import ReplyContext
from app.analysis.meter import RunMeter
from app.domain import units
from app.protocol.events import ModelReady
from app.tui.panels.cells import strip
from app.tui.parallel.state import ParallelReply
from app.tui.transcript.widget import Transcript
from app.tui.widgets.bar import Bar, Segment
from app.tui.widgets.line import Line, width_of
from app.tui.widgets.lines import Lines

_MUTED = "$foreground-muted"
_ONE_LINE = 64
"""Cells from which on title and figures stand on one line."""


class Column(Vertical):
    """One reply under its title."""

    def __init__(self, number: int, reply: ParallelReply, code_style: str) -> None:
        super().__init__()
        self.number = number
        self.reply = reply
        self.title_bar = Bar()
        self.figure_bar = Bar()
        self._marks = (False, False)
        self.transcript = Transcript()
        self.transcript.code_style = code_style

    def compose(self) -> ComposeResult:
        """Lays them out."""
        yield self.title_bar
        yield self.figure_bar
        yield self.transcript

    def flush(self) -> None:
        """Shows the text that came since the last time."""
        self.transcript.append(self.reply.take())

    def on_resize(self) -> None:
        """Gives the figures a line of their own where they do not fit beside the title."""
        self.figure_bar.display = self.size.width < _ONE_LINE
        self.show_title(*self._marks)

    def show_title(self, current: bool, picked: bool) -> None:
        """Shows preset, seed and figures."""
        self._marks = (current, picked)
        mark = "▶ " if current else "  "
        # The star stands before the title, whose end a narrow column cuts off.
        name = f"{mark}{self.number}{'★' if picked else ''} {self.reply.title}"
        style = "bold $primary" if current else ""
        figures = [Segment(self.reply.figures, _MUTED)]
        self.title_bar.show([Segment(name, style, "", 2)], [] if self.figure_bar.display else figures)
        self.figure_bar.show(figures)


_NARROWEST = 20
"""Cells below which a strip says nothing."""


class ParallelCells(Lines):
    """The cache strip of the current reply and the count of its shared cells."""

    DEFAULT_CSS = "ParallelCells { height: 1; padding: 0 1; }"

    def compose_lines(self, meter: RunMeter, model: ModelReady | None, width: int, height: int) -> Sequence[Line]:
        """Returns the one line."""
        return [cells_line(meter, model, width)]


def cells_line(meter: RunMeter, model: ModelReady | None, width: int) -> Line:
    """Returns the strip and its counts in `width` cells; the counts alone where there is no room for more."""
    cells = [cell for cell in meter.cells(model.n_ctx) if cell.kind != "free"] if model else []
    n_used, n_shared = (sum(cell.n_tokens for cell in some) for some in (cells, [c for c in cells if c.n_sharers]))
    n_with = max((cell.n_sharers for cell in cells), default=0)
    replies = "reply" if n_with == 1 else "replies"
    shared = f"& {units.count(n_shared)} shared with {n_with} {replies}" if n_shared else "none shared"
    counts: Line = ((f"  {units.count(n_used)} cells, ", "dim"), (shared, "shared" if n_shared else "dim"))
    room = width - 3 - width_of(counts)
    head: Line = (("KV ", "title"),)
    return (*head, *strip(cells, ReplyContext(), room), *counts) if room >= _NARROWEST and cells else (*head, *counts)


_MIN_WIDTH, _MIN_HEIGHT = 30, 9
"""Cells and lines below which a reply cannot be read in a column."""
_WIDE = 100


@dataclass(frozen=True)
class Arrangement:
    """Columns and rows of the grid; one column and one row are tabs."""

    n_columns: int
    n_rows: int

    @property
    def tabs(self) -> bool:
        """Whether only one reply is seen at a time."""
        return self.n_columns == 1


def arrange(n: int, width: int, height: int) -> Arrangement:
    """Returns how `n` replies are laid out in `width` × `height` cells, the rows as even as can be."""
    most = min(n, width // _MIN_WIDTH)
    if width >= _WIDE and most > 1:
        n_rows = ceil(n / most)
        n_columns = ceil(n / n_rows)
        if height // n_rows >= _MIN_HEIGHT:
            return Arrangement(n_columns, n_rows)
    return Arrangement(1, 1)


def tab_segments(replies: list[ParallelReply], current: int, picked: int | None) -> list[Segment]:
    """Returns the tabs: number, speed, and a mark on the one that is shown and the one that was picked."""
    segments: list[Segment] = []
    for index, reply in enumerate(replies):
        mark = "▶" if index == current else " "
        star = "★" if index == picked else ""
        style = "bold $primary" if index == current else "$foreground-muted"
        segments.append(
            Segment(f"{mark}{index + 1}{star} {units.tps(reply.tps)}", style, f"screen.show({index})", 9 - index)
        )
    return segments
