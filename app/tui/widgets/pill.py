"""The row below the transcript, of which it hides nothing: new text has come below what is being read."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static


class Pill(Static):
    """Hidden while there is nothing new; a click runs its action."""

    DEFAULT_CSS = """
    Pill {
        display: none;
        dock: bottom;
        width: 100%;
        height: 1;
        text-align: center;
        text-style: bold;
        background: $panel;
        color: $primary;
    }
    """

    def __init__(self, action: str, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._action = action

    def show(self, n_lines: int, key: str) -> None:
        """Shows how many lines are new and the key that goes there; hides with none."""
        self.display = n_lines > 0
        if n_lines:
            self.update(Content(f"↓ {n_lines} new line{'' if n_lines == 1 else 's'} · {key}"))

    async def on_click(self) -> None:
        """Goes there."""
        await self.run_action(self._action)
