"""The bases of every screen. What Textual 8.2.8 gets wrong about selections and hidden screens is caught here, once."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, TypeVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, Screen

Result = TypeVar("Result")


class Ask(Protocol):
    """Shows a dialog and waits for its result."""

    async def __call__(self, dialog: Dialog[Result]) -> Result | None:
        """Returns None when the dialog was left."""
        ...


def _is_hidden(screen: Screen[Any]) -> bool:
    """Whether an opaque screen above hides all of it."""
    stack = screen.app.screen_stack  # pyright: ignore[reportUnknownMemberType]  App is generic
    above = stack[stack.index(screen) + 1 :] if screen in stack else []
    return any(other.styles.background.a == 1 for other in above)


class SafeScreen(Screen[None]):
    """A screen whose selection cannot end the app, and which is painted only where it is seen."""

    @property
    def is_current(self) -> bool:
        """Whether it is seen. Textual asks before it paints, and repaints all of the one above for a hidden change."""
        return super().is_current and not _is_hidden(self)

    @property
    def about(self) -> str:
        """The command of the view that it is, for the help; empty where it is none."""
        return ""

    def get_selected_text(self) -> str | None:
        """Returns the selected text; None where a widget shrank under its selection (Textual issue 6708)."""
        try:
            return super().get_selected_text()
        except (IndexError, ValueError):
            return None


class Dialog(ModalScreen[Result]):
    """A modal screen that Esc closes without a result."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Close", show=False, priority=True)]

    @property
    def about(self) -> str:
        """See `SafeScreen`."""
        return ""

    def get_selected_text(self) -> str | None:
        """See `SafeScreen`."""
        try:
            return super().get_selected_text()
        except (IndexError, ValueError):
            return None

    def action_cancel(self) -> None:
        """Closes without a result."""
        self.dismiss(None)
