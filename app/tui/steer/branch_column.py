"""One of several replies on the screen: a title with its preset and seed, its figures, its text as it streams."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical

from app.tui.steer.branch_state import Branch
from app.tui.widgets.bar import Bar, Segment
from app.tui.widgets.transcript import Transcript

_MUTED = "$foreground-muted"
_ONE_LINE = 64
"""Cells from which on title and figures stand on one line."""


class Column(Vertical):
    """One reply under its title."""

    def __init__(self, number: int, branch: Branch, code_style: str) -> None:
        super().__init__()
        self.number = number
        self.branch = branch
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
        self.transcript.append(self.branch.take())

    def on_resize(self) -> None:
        """Gives the figures a line of their own where they do not fit beside the title."""
        self.figure_bar.display = self.size.width < _ONE_LINE
        self.show_title(*self._marks)

    def show_title(self, current: bool, picked: bool) -> None:
        """Shows preset, seed and figures."""
        self._marks = (current, picked)
        mark = "▶ " if current else "  "
        # The star stands before the title, whose end a narrow column cuts off.
        name = f"{mark}{self.number}{'★' if picked else ''} {self.branch.title}"
        style = "bold $primary" if current else ""
        figures = [Segment(self.branch.figures, _MUTED)]
        self.title_bar.show([Segment(name, style, "", 2)], [] if self.figure_bar.display else figures)
        self.figure_bar.show(figures)
