"""The pill over the transcript's last line: new text has come below what is being read."""

from __future__ import annotations

from textual.content import Content
from textual.geometry import Offset
from textual.widgets import Static


class Pill(Static):
    """Hidden while there is nothing new; a click runs its action."""

    DEFAULT_CSS = """
    Pill {
        display: none;
        layer: pill;
        dock: bottom;
        width: auto;
        height: 1;
        padding: 0 2;
        background: $primary;
        color: $background;
    }
    """

    def __init__(self, action: str, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._action = action

    def show(self, n_lines: int, key: str) -> None:
        """Shows how many lines are new and the key that goes there; hides with none."""
        self.display = n_lines > 0
        if not n_lines or self.parent is None:
            return
        text = Content(f"↓ {n_lines} new line{'' if n_lines == 1 else 's'} · {key}")
        self.update(text)
        room = self.container_size.width - text.cell_length - 4
        self.styles.offset = Offset(max(0, room // 2), 0)

    async def on_click(self) -> None:
        """Goes there."""
        await self.run_action(self._action)
