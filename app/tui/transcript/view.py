"""A scrolled view of entries that paints only the rows in view, and repaints only what changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from rich.style import Style
from textual import events, on
from textual.app import App
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import Reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from app.tui.markdown.lines import Line
from app.tui.markdown.styles import markdown_styles
from app.tui.transcript.entry import Entry, EntryStyle
from app.tui.transcript.layout import Layout
from app.tui.transcript.selection import highlight


class TranscriptPaint(ScrollView):
    """Paints the rows of a `Layout` that are in view. A subclass fills the layout."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._layout = Layout()
        self._base = Style.null()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Returns the cached strips, without the styles cache of Textual, which would build each one anew."""
        strips = [self._strip(row + self.scroll_offset.y) for row in range(crop.y, crop.bottom)]
        background = self.background_colors[1]
        for line_filter in self.get_line_filters():
            strips = [strip.apply_filter(line_filter, background) for strip in strips]
        whole = crop.x == 0 and crop.width == self._width
        return strips if whole else [strip.crop(crop.x, crop.right) for strip in strips]

    def render_line(self, y: int) -> Strip:
        """Returns a row with the offsets that the mouse selects by."""
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


WHEEL_ROWS = 3
SCROLL_KEYS = frozenset({"up", "down", "pageup", "pagedown", "home", "end"})
"""The keys that scroll it."""

# Cast once: a checker takes a reactive class attribute for its value.
_virtual_size = cast("Reactive[Size]", ScrollView.virtual_size)
_scroll_y = ScrollView.scroll_y
_scroll_target_y = cast("Reactive[float]", ScrollView.scroll_target_y)


class TranscriptView(TranscriptPaint, can_focus=True):
    """Scrolls a layout of entries. `follow`: the view stays at the end while text arrives."""

    DEFAULT_CSS = """
    TranscriptView { height: 1fr; width: 1fr; overflow-x: hidden; overflow-y: scroll; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_rows(-1)", "Line up", show=False),
        Binding("down,j", "scroll_rows(1)", "Line down", show=False),
        Binding("pageup", "scroll_pages(-1)", "Page up", show=False),
        Binding("pagedown", "scroll_pages(1)", "Page down", show=False),
        Binding("home,g", "to_start", "To the start", show=False),
        Binding("end,G", "follow", "To the end", show=False),
    ]

    @dataclass
    class FollowChanged(Message, namespace="transcript"):
        """The view began or ceased to follow the end, or has `new_lines` below it."""

        following: bool
        new_lines: int

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.follow = True
        self.code_style = "monokai"
        self._end_left = (0, 0, 0)
        """The last row when the view left the end."""
        self._new_lines = 0

    def restyle(self, code_style: str = "") -> None:
        """Takes the colours of the theme, and another style of code blocks; call it after the theme changed."""
        self.code_style = code_style or self.code_style
        self._base = self.rich_style
        if self.size.width or self._layout.look is not None:
            variables = cast("App[Any]", self.app).theme_variables  # pyright: ignore[reportUnknownMemberType]  (untyped in textual)
            styles = markdown_styles(self._base, variables, self.code_style)
            self._relayout(EntryStyle(self._width, styles))

    # -- following and scrolling

    def action_follow(self) -> None:
        """Goes to the end and stays there."""
        self._set_follow(True)
        self._place_end()

    def action_to_start(self) -> None:
        """Goes to the first message."""
        self._go_to(0)

    def action_scroll_rows(self, n_rows: int) -> None:
        """Scrolls by rows; negative is up."""
        self._go_to(self.scroll_offset.y + n_rows)

    def action_scroll_pages(self, n_pages: int) -> None:
        """Scrolls by pages; negative is up."""
        self._go_to(self.scroll_offset.y + n_pages * max(1, self._n_rows - 1))

    @on(events.MouseScrollUp)
    @on(events.MouseScrollDown)
    def _wheel(self, event: events.MouseScrollUp | events.MouseScrollDown) -> None:
        event.stop()
        event.prevent_default()
        self.action_scroll_rows(-WHEEL_ROWS if isinstance(event, events.MouseScrollUp) else WHEEL_ROWS)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Follows the scroll bar and drags at the edge."""
        super().watch_scroll_y(old_value, new_value)
        if round(new_value) != round(old_value):
            self._go_to(round(new_value))

    def _go_to(self, top: int) -> None:
        if not self._n_rows:
            return  # a key before the first layout: there is no page yet
        end = max(0, self._layout.height - self._n_rows)
        if top >= end:
            self.action_follow()
            return
        self._set_follow(False)
        self._place(self._layout.settle(max(0, top), self._n_rows))

    def _place_end(self) -> None:
        self._place(self._layout.settle_end(self._n_rows))

    def _place(self, top: int) -> None:
        """Sets size, scroll and bar in one tick and without a layout, so that a flush is one frame."""
        height = self._layout.height
        self.set_reactive(_virtual_size, Size(self.scrollable_content_region.width, height))
        top = min(top, self.max_scroll_y)
        self.set_reactive(_scroll_y, float(top))
        self.set_reactive(_scroll_target_y, float(top))
        bar = self.vertical_scrollbar
        bar.window_virtual_size = height
        bar.position = top
        self.refresh()

    def _set_follow(self, follow: bool) -> None:
        if follow != self.follow:
            self.follow = follow
            self._end_left = self._layout.anchor(self._layout.height - 1)
            self._new_lines = 0
            self.post_message(self.FollowChanged(follow, 0))

    # -- messages among the entries

    def set_labels(self, labels: Mapping[int, str]) -> None:
        """Labels the messages with these ids and no others; the view keeps its place."""
        anchor = self._layout.anchor(self.scroll_offset.y)
        if not self._layout.set_labels(labels):
            return
        if self.follow:
            self._place_end()
        else:
            self._place(self._layout.settle_anchor(anchor, self._n_rows))

    def messages_in_view(self) -> list[int]:
        """Returns the ids of the messages that can be seen, from the top."""
        if not self._layout.entries:
            return []
        top = self.scroll_offset.y
        first, _ = self._layout.locate(top)
        last, _ = self._layout.locate(top + max(0, self._n_rows - 1))
        seen = self._layout.entries[first : last + 1]
        return [entry.message_id for entry in seen if entry.message_id is not None]

    def go_to_message(self, message_id: int) -> None:
        """Scrolls a message to the top of the view, or as near as the end allows."""
        if (index := self._layout.entry_of(message_id)) is not None:
            self._go_to(self._layout.top_of(index))

    # -- laying out and painting

    def _height_changed(self) -> None:
        """Follows the end, or keeps the view and counts the lines that are new below it."""
        if self.follow:
            self._place_end()
            return
        self._place(self.scroll_offset.y)
        new_lines = max(0, self._layout.rows_after(self._end_left))
        if new_lines != self._new_lines:
            self._new_lines = new_lines
            self.post_message(self.FollowChanged(False, new_lines))

    def _repaint_changes(self, entry: Entry, before: list[Line | None]) -> None:
        """Paints everything if the view moved, else the rows that differ from `before`."""
        self._layout.changed(entry)
        top = self.scroll_offset.y
        height = self.virtual_size.height
        self._layout.settle(top, self._n_rows)
        if self._layout.height != height:
            self._height_changed()
            return
        for row, (old, new) in enumerate(zip(before, self._visible(), strict=True)):
            if old is not new and (old is None or new is None or old.strip != new.strip):
                self.refresh(Region(0, row, self._width, 1))

    def on_resize(self) -> None:
        """Lays out again if the width changed."""
        look = self._layout.look
        if look is None:
            self.restyle()
        elif look.width != self._width:
            self._relayout(EntryStyle(self._width, look.styles))
        elif self.follow:
            self._place_end()
        else:
            self._go_to(self.scroll_offset.y)

    def _relayout(self, look: EntryStyle) -> None:
        """Lays every line out again; the view keeps its top block, or the end if it follows it."""
        anchor = self._layout.anchor(self.scroll_offset.y)
        self._layout.set_look(look)
        if self.follow:
            self._place_end()
        else:
            self._place(self._layout.settle_anchor(anchor, self._n_rows))
