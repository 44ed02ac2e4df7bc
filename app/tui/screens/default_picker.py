"""A picker whose rows can be made the default: Ctrl+D writes the one under the cursor into `config.toml`."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from app.config.writer import write_setting
from app.domain.errors import ConfigError
from app.domain.text import safe_text
from app.tui.screens.picker import Picker, Row


class DefaultPicker(Picker):
    """The base of the model and the preset picker."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+d", "make_default", show=False, priority=True)]
    HINTS: ClassVar[str] = "Enter choose   Ctrl+D make default   Esc close"
    SETTING: ClassVar[str] = ""
    """The key of `config.toml`."""

    def __init__(self, defaults: dict[str, str]) -> None:
        """`defaults` are those of now by their settings; another one is put into it."""
        super().__init__()
        self._defaults = defaults

    async def action_make_default(self) -> None:
        """Makes the row under the cursor what new chats and `tok ask` start with."""
        if (row := self.highlighted) is None or not self.may_be_default(row):
            return
        try:
            path = write_setting(self.SETTING, row.id)
        except ConfigError as error:
            self.notify(safe_text(error.told), severity="error", markup=False)
            return
        self._defaults[self.SETTING] = row.id
        self.notify(safe_text(f"{row.id} is the default now ({self.SETTING} in {path})."), markup=False)
        await self.refill(row.id)

    def may_be_default(self, row: Row) -> bool:
        """Whether a row can be chosen at all."""
        return bool(row.id)

    def marked(self, name: str, tail: str) -> str:
        """The tail of a row, with a mark where it is the default."""
        return " · ".join(filter(None, ("default" if name == self._defaults[self.SETTING] else "", tail)))
