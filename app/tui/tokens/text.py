"""A virtualised flow of tokens with a cursor: wrapped text, a row of marks under it where there is a tint.

Knows pieces, roles and marks; what they mean is known to the widgets made from it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, cast

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import Reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from app.tui.tokens.layout import Fragment, Piece, TokenTextLayout
from app.tui.tokens.tint import Mark
from app.tui.widgets.roles import palette

# Looked up once as descriptors: the type of a class attribute is the value's, as far as a checker can see.
_virtual_size = cast("Reactive[Size]", ScrollView.virtual_size)
_scroll_y = ScrollView.scroll_y
_scroll_target_y = cast("Reactive[float]", ScrollView.scroll_target_y)
_FILLING = "▁▂▃▄▅▆▇█░▓"
"""Marks that are as wide as their token; the others stand under its beginning."""


class TokenText(ScrollView, can_focus=True):
    """Set what it shows with `_show` and `_extend`; moved by keys, by clicks and by `move_to`.

    Attributes:
        cursor: index of the token under the cursor; -1 while there is none.
        follow: whether the cursor stays on the last token while tokens are added.
        arrows: asked first when an arrow key is pressed, with its direction; True says that it was used up.
    """

    DEFAULT_CSS = """
    TokenText { height: 1fr; width: 1fr; overflow-x: hidden; overflow-y: scroll; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "arrow(-1, 0)", "Token before", show=False),
        Binding("right", "arrow(1, 0)", "Token after", show=False),
        Binding("up", "arrow(0, -1)", "Line up", show=False),
        Binding("down", "arrow(0, 1)", "Line down", show=False),
        Binding("h", "move(-1)", "Token before", show=False),
        Binding("l", "move(1)", "Token after", show=False),
        Binding("k", "move_lines(-1)", "Line up", show=False),
        Binding("j", "move_lines(1)", "Line down", show=False),
        Binding("pageup", "move_pages(-1)", "Page up", show=False),
        Binding("pagedown", "move_pages(1)", "Page down", show=False),
        Binding("home,g", "to_start", "First token", show=False),
        Binding("end,G", "to_end", "Last token", show=False),
    ]

    @dataclass
    class Moved(Message, namespace="flow"):
        """The cursor is on another token."""

        flow: TokenText
        index: int

        @property
        def control(self) -> TokenText:
            """The flow, for `@on`."""
            return self.flow

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.cursor = -1
        self.follow = False
        self.arrows: Callable[[int, int], bool] = lambda x, y: False
        self._pieces: list[Piece] = []
        self._layout = TokenTextLayout(1)
        self._goal = -1
        """The column that moving by lines keeps to; -1 is the cursor's own."""
        self._strips: dict[int, Strip] = {}
        self._roles: dict[str, Style] | None = None

    # -- what is shown

    def _show(self, pieces: list[Piece], cursor: int) -> None:
        """Shows these and nothing else."""
        self._pieces = pieces
        self.cursor = min(cursor, len(pieces) - 1)
        self._lay()
        self.post_message(self.Moved(self, self.cursor))

    def _extend(self, pieces: list[Piece]) -> None:
        """Adds tokens at the end."""
        if not pieces:
            return
        self._pieces.extend(pieces)
        changed = self._layout.add(pieces)
        for row in [row for row in self._strips if row // self._n_rows >= changed]:
            del self._strips[row]
        self._resize()
        if self.follow or self.cursor < 0:
            self._go(len(self._pieces) - 1 if self.follow else 0)

    @abstractmethod
    def role_of(self, token: int) -> str:
        """Returns the role that a token is drawn in."""

    @abstractmethod
    def mark_of(self, token: int) -> Mark:
        """Returns the mark under a token; asked for only while `has_marks`."""

    @property
    def has_marks(self) -> bool:
        """Whether there is a row of marks under every line."""
        return False

    @property
    def n_tokens(self) -> int:
        """How many are shown."""
        return len(self._pieces)

    @property
    def shown(self) -> list[str]:
        """Every row as plain text, for tests."""
        return [self._draw(row).text.rstrip() for row in range(self._layout.height * self._n_rows)]

    # -- the cursor

    def move_to(self, index: int) -> None:
        """Puts the cursor on a token."""
        if self._pieces:
            self.follow = index >= len(self._pieces) - 1
            self._goal = -1
            self._go(index)

    def action_arrow(self, x: int, y: int) -> None:
        """Moves by an arrow key, unless somebody else wants it."""
        if not self.arrows(x, y):
            self.action_move(x) if x else self.action_move_lines(y)

    def action_move(self, n: int) -> None:
        """Moves by tokens; negative is back."""
        self.move_to(self.cursor + n)

    def action_move_lines(self, n: int) -> None:
        """Moves by lines and keeps to the column."""
        if not self._pieces:
            return
        column = self._layout.column_of(self.cursor) if self._goal < 0 else self._goal
        line = self._layout.line_of(self.cursor) + n
        self.move_to(self._layout.token_at(line, column))
        self._goal = column

    def action_move_pages(self, n: int) -> None:
        """Moves by what is seen at once."""
        self.action_move_lines(n * max(1, self.size.height // self._n_rows - 1))

    def action_to_start(self) -> None:
        """Goes to the first token."""
        self.move_to(0)

    def action_to_end(self) -> None:
        """Goes to the last token, and stays on the last one while more come."""
        self.move_to(len(self._pieces) - 1)

    def on_click(self, event: events.Click) -> None:
        """Puts the cursor on the token that was clicked."""
        line = (event.y + self.scroll_offset.y) // self._n_rows
        if 0 <= line < self._layout.height:
            self.move_to(self._layout.token_at(line, event.x))

    def _go(self, index: int) -> None:
        before, self.cursor = self.cursor, min(max(0, index), len(self._pieces) - 1)
        if before == self.cursor:
            return
        for token in (before, self.cursor):
            if 0 <= token < self._layout.n_tokens:
                self._forget_token(token)
        self._reveal()
        self.refresh()
        self.post_message(self.Moved(self, self.cursor))

    def _forget_token(self, token: int) -> None:
        # A long token, or one with line ends, takes several lines.
        first = self._layout.line_of(token)
        last = self._layout.line_of(token + 1) if token + 1 < self._layout.n_tokens else self._layout.height
        for line in range(first, last + 1):
            for row in range(line * self._n_rows, (line + 1) * self._n_rows):
                self._strips.pop(row, None)

    def _reveal(self) -> None:
        if self.cursor < 0 or not self.size.height:
            return
        top = self._layout.line_of(self.cursor) * self._n_rows
        bottom = top + self._n_rows
        if top < self.scroll_offset.y:
            self._place(top)
        elif bottom > self.scroll_offset.y + self.size.height:
            self._place(bottom - self.size.height)

    # -- laying out and painting

    def relay(self) -> None:
        """Draws everything again: roles, marks or whether there are any have changed."""
        self._strips.clear()
        self._resize()
        self._reveal()

    def _lay(self) -> None:
        self._layout = TokenTextLayout(self.size.width)
        self._layout.add(self._pieces)
        self.relay()

    def _resize(self) -> None:
        self._place(self.scroll_offset.y)

    def _place(self, top: int) -> None:
        """Sets size, scroll and bar without a layout of the screen: a reply that grows costs one paint a look."""
        height = self._layout.height * self._n_rows
        self.set_reactive(_virtual_size, Size(self.size.width, height))
        if self.is_attached:
            top = min(top, self.max_scroll_y)
            self.set_reactive(_scroll_y, float(top))
            self.set_reactive(_scroll_target_y, float(top))
            self.vertical_scrollbar.window_virtual_size = height
            self.vertical_scrollbar.position = top
        self.refresh()

    def on_resize(self) -> None:
        """Lays out again for another width."""
        self._lay()

    def notify_style_update(self) -> None:
        """Draws all again in the new theme's colours."""
        self._roles = None
        self._strips.clear()
        super().notify_style_update()

    def on_focus(self) -> None:
        """Draws the cursor as that of the widget with the focus."""
        self.relay()

    def on_blur(self) -> None:
        """Draws the cursor as that of a widget without the focus."""
        self.relay()

    @property
    def _n_rows(self) -> int:
        return 2 if self.has_marks else 1

    def render_line(self, y: int) -> Strip:
        """Draws one row."""
        row = y + self.scroll_offset.y
        strip = self._strips.get(row)
        if strip is None:
            strip = self._strips[row] = self._draw(row)
        return strip

    def _draw(self, row: int) -> Strip:
        roles = self._styles()
        line, below = divmod(row, self._n_rows)
        fragments = self._layout.lines[line] if line < len(self._layout.lines) else []
        draw = self._marked if below else self._text
        return Strip([draw(fragment, roles) for fragment in fragments]).adjust_cell_length(
            self.size.width, roles["text"]
        )

    def _text(self, fragment: Fragment, roles: dict[str, Style]) -> Segment:
        if fragment.ghost:
            return Segment(fragment.text, roles["ghost"])
        style = roles[self.role_of(fragment.token)]
        if fragment.token == self.cursor:
            style += Style(reverse=True, bold=True) if self.has_focus else Style(underline=True, bold=True)
        return Segment(fragment.text, style)

    def _marked(self, fragment: Fragment, roles: dict[str, Style]) -> Segment:
        if fragment.ghost:
            return Segment(" " * fragment.width, roles["text"])
        char, role = self.mark_of(fragment.token)
        n = max(1, fragment.width - 1) if char in _FILLING else 1
        return Segment((char * n).ljust(fragment.width), roles[role])

    def _styles(self) -> dict[str, Style]:
        if self._roles is None:
            base = self.rich_style
            roles = palette(self.app.theme_variables)  # pyright: ignore[reportUnknownMemberType]  App is generic
            self._roles = {role: base + style for role, style in roles.items()}
        return self._roles
