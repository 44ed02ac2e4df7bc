"""Paints a layout of entries: the rows in view as cached strips, and the selection over them.

Refuses to know what decides where the view stands.
"""

from __future__ import annotations

from rich.style import Style
from textual.geometry import Region
from textual.scroll_view import ScrollView
from textual.strip import Strip

from app.tui.markdown.lines import Line
from app.tui.transcript.layout import Layout
from app.tui.transcript.selection import highlight


class TranscriptPaint(ScrollView):
    """See the module; what is laid out is decided by those made from it."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._layout = Layout()
        self._base = Style.null()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Returns the cached strips as they are: without the styles cache, which would build each of them anew."""
        strips = [self._strip(row + self.scroll_offset.y) for row in range(crop.y, crop.bottom)]
        background = self.background_colors[1]
        for line_filter in self.get_line_filters():
            strips = [strip.apply_filter(line_filter, background) for strip in strips]
        whole = crop.x == 0 and crop.width == self._width
        return strips if whole else [strip.crop(crop.x, crop.right) for strip in strips]

    def render_line(self, y: int) -> Strip:
        """Returns a row for the mouse: with the offsets that a selection is made of."""
        row = y + self.scroll_offset.y
        return self._strip(row).apply_offsets(0, row)

    def _strip(self, row: int) -> Strip:
        line = self._layout.line(row)
        strip = line.strip if line is not None else Strip.blank(self._width, self._base)
        selection = self.text_selection
        if selection is None or line is None or (span := selection.get_span(row)) is None:
            return strip
        return highlight(strip, span, self.screen.get_component_rich_style("screen--selection"))

    def _visible(self) -> list[Line | None]:
        top = self.scroll_offset.y
        return [self._layout.line(row) for row in range(top, top + self._n_rows)]

    @property
    def _width(self) -> int:
        return self.size.width or (self._layout.look.width if self._layout.look is not None else 80)

    @property
    def _n_rows(self) -> int:
        return self.scrollable_content_region.height
