"""One line of segments, some at the left and some at the right, each of which may run an action when it is clicked.

Serves as header, key bar and queue line. What does not fit is left out, the least important first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from textual import events
from textual.content import Content
from textual.widget import Widget

from app.domain.text import safe_text


@dataclass(frozen=True)
class Segment:
    """A piece of the line. Its text is made safe, and taken literally, never as markup."""

    text: str
    style: str = ""
    action: str = ""
    """A Textual action for a click."""
    weight: int = 0
    """When the line is too narrow, the lightest segments go first."""
    lead: str = ""
    """A key before the text, in the accent colour."""

    @property
    def width(self) -> int:
        """Its width in cells."""
        return Content(self.lead + safe_text(self.text)).cell_length


class Bar(Widget):
    """Call `show` with new segments; it repaints only if they changed."""

    DEFAULT_CSS = "Bar { height: 1; width: 1fr; padding: 0 1; }"

    def __init__(self, *, separator: str = "  ", id: str | None = None) -> None:
        super().__init__(id=id)
        self._separator = separator
        self._left: Sequence[Segment] = ()
        self._right: Sequence[Segment] = ()
        self._hits: list[tuple[int, int, str]] = []

    def show(self, left: Iterable[Segment], right: Iterable[Segment] = ()) -> None:
        """Replaces the line; costs nothing when it is the same."""
        line = (tuple(left), tuple(right))
        if line != (self._left, self._right):
            self._left, self._right = line
            self.refresh()

    @property
    def text(self) -> str:
        """What is shown, for tests and for reading aloud."""
        return self.render().plain

    def render(self) -> Content:
        """Lays the segments out in the width there is."""
        width = self.content_size.width
        left, right = self._fitting(width)
        gap = max(1, width - self._width(left) - self._width(right))
        self._hits = []
        parts: list[tuple[str, str]] = []
        x = self._place(left, 0, parts)
        if right:
            parts.append((" " * gap, ""))
            self._place(right, x + gap, parts)
        return Content.assemble(*parts).truncate(width, ellipsis=True)

    def on_click(self, event: events.Click) -> None:
        """Runs the action of the segment under the mouse."""
        if (offset := event.get_content_offset(self)) is None:
            return
        for start, end, action in self._hits:
            if start <= offset.x < end:
                self.call_later(self.run_action, action)

    def _width(self, segments: Sequence[Segment]) -> int:
        gaps = len(self._separator) * max(0, len(segments) - 1)
        return sum(segment.width for segment in segments) + gaps

    def _fitting(self, width: int) -> tuple[list[Segment], list[Segment]]:
        left, right = list(self._left), list(self._right)
        while len(left) + len(right) > 1 and self._width(left) + self._width(right) + 1 > width:
            lightest = min([*left, *right], key=lambda segment: segment.weight)
            side = left if lightest in left else right
            # The last one of its weight goes, so that the line keeps its beginning.
            del side[max(i for i, segment in enumerate(side) if segment.weight == lightest.weight)]
        return left, right

    def _place(self, segments: Sequence[Segment], x: int, parts: list[tuple[str, str]]) -> int:
        for index, segment in enumerate(segments):
            if index:
                parts.append((self._separator, "$foreground-muted"))
                x += len(self._separator)
            parts += [(segment.lead, "$accent"), (safe_text(segment.text), segment.style)]
            if segment.action:
                self._hits.append((x, x + segment.width, segment.action))
            x += segment.width
        return x
