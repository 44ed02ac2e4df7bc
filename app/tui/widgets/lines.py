"""Widgets that draw lines in roles and repaint only the lines that changed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from app.analysis.ending import ReplyContext
from app.analysis.meter import RunMeter
from app.domain.text import safe_text
from app.protocol.events import ModelReady
from app.tui.widgets.line import Line
from app.tui.widgets.roles import palette


class Lines(Widget):
    """Shows what `compose_lines` returns for its size; drawn with the Line API, never laid out again."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._meter = RunMeter()
        self._model: ModelReady | None = None
        self.setting = ReplyContext()
        """How the reply is asked for; `update` changes it."""
        self._version: int = -1
        self._lines: Sequence[Line] = ()
        self._strips: dict[int, Strip] = {}
        self._styles_of_roles: dict[str, Style] | None = None

    def update(self, meter: RunMeter, model: ModelReady | None, setting: ReplyContext | None = None) -> None:
        """Shows the meter's figures; free when they are those on the screen. Call it a few times a second."""
        setting = setting or self.setting
        same = meter is self._meter and model is self._model and setting == self.setting
        if same and meter.version == self._version:
            return
        self._meter, self._model, self.setting = meter, model, setting
        self._version = meter.version
        self.redraw()

    @property
    def shown(self) -> list[str]:
        """The lines as plain text, for tests."""
        return ["".join(text for text, _ in line) for line in self._lines]

    @abstractmethod
    def compose_lines(self, meter: RunMeter, model: ModelReady | None, width: int, height: int) -> Sequence[Line]:
        """Returns at most `height` lines for `width` cells."""

    def redraw(self) -> None:
        """Composes the lines again and repaints those that differ; nothing while it is hidden."""
        width, height = self.content_size
        if not width or not height or not self.display:
            return
        before, self._lines = self._lines, self.compose_lines(self._meter, self._model, width, height)
        n = max(len(before), len(self._lines))
        changed = [y for y in range(n) if before[y : y + 1] != self._lines[y : y + 1]]
        for y in changed:
            self._strips.pop(y, None)
        if changed:
            self.refresh(*(Region(0, y, width, 1) for y in changed))

    def render_line(self, y: int) -> Strip:
        """Draws one line."""
        strip = self._strips.get(y)
        if strip is None:
            strip = self._strips[y] = self._draw(self._lines[y] if y < len(self._lines) else ())
        return strip

    def notify_style_update(self) -> None:
        """Draws all again in the new theme's colours."""
        self._styles_of_roles = None
        self._strips.clear()
        super().notify_style_update()

    def _on_resize(self, event: events.Resize) -> None:
        self._strips.clear()
        self.redraw()

    def _on_show(self, event: events.Show) -> None:
        self.redraw()

    def _draw(self, line: Line) -> Strip:
        styles = self._styles_of_roles
        if styles is None:
            base = self.rich_style
            roles = palette(self.app.theme_variables)  # pyright: ignore[reportUnknownMemberType]  App is generic
            styles = self._styles_of_roles = {role: base + style for role, style in roles.items()}
        segments = [Segment(safe_text(text), styles[role]) for text, role in line]
        return Strip(segments).adjust_cell_length(self.content_size.width, styles["text"])


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
