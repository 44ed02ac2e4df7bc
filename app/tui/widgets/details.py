"""Lines in roles, composed by whoever owns the widget, for the size that there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual import events
from textual.message import Message

from app.analysis.meter import RunMeter
from app.protocol.events import ModelReady
from app.tui.panels.line import Line
from app.tui.panels.lines import Lines

Compose = Callable[[tuple[int, int]], Sequence[Line]]


class Details(Lines):
    """Shows what `compose` returns for so many cells and lines; `redraw` asks again."""

    @dataclass
    class Clicked(Message):
        """A cell was clicked, `chain` times."""

        at: tuple[int, int]
        chain: int

    def __init__(self, compose: Compose, *, id: str) -> None:
        super().__init__(id=id)
        self._compose_for = compose

    def compose_lines(self, meter: RunMeter, model: ModelReady | None, width: int, height: int) -> Sequence[Line]:
        """See `Lines`; no meter is looked at."""
        return self._compose_for((width, height))

    def on_click(self, event: events.Click) -> None:
        """Tells which cell."""
        if (offset := event.get_content_offset(self)) is not None:
            self.post_message(self.Clicked((offset.x, offset.y), event.chain))
