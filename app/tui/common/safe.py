"""The bases of every screen. What Textual 8.2.8 gets wrong about selections and hidden screens is caught here, once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from textual import events, on
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import ModalScreen, Screen
from textual.widget import Widget

Result = TypeVar("Result")


def _is_hidden(screen: Screen[Any]) -> bool:
    """Whether an opaque screen above hides all of it."""
    stack = screen.app.screen_stack  # pyright: ignore[reportUnknownMemberType]  App is generic
    above = stack[stack.index(screen) + 1 :] if screen in stack else []
    return any(other.styles.background.a == 1 for other in above)


class Opened(Message):
    """A screen is laid out, has its focus and can take input."""

    def __init__(self, opened: SafeScreen | Dialog[Any]) -> None:
        super().__init__()
        self.opened = opened


class SafeScreen(Screen[None]):
    """A screen whose selection cannot end the app, and which is painted only where it is seen.

    Attributes:
        takes_input: whether what is typed reaches its widgets; the app sets it when it hears `Opened`.
    """

    takes_input = False

    @on(events.Mount)
    def _announce(self) -> None:
        # After what a subclass does when it is mounted: Textual asks the classes in their order.
        self.post_message(Opened(self))

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
    """A modal screen that Esc closes without a result.

    Attributes:
        takes_input: see `SafeScreen`.
        leaving: called before it closes.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Close", show=False, priority=True)]
    takes_input = False
    leaving: Callable[[], object] | None = None

    @on(events.Mount)
    def _announce(self) -> None:
        self.post_message(Opened(self))

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """Closes it with a result."""
        if self.leaving is not None:
            self.leaving()
        return super().dismiss(result)

    @property
    def field(self) -> Widget | None:
        """The text field that is shown; None if there is none."""
        fields = (widget for widget in self.query("Input, TextArea") if widget.display)
        return next(iter(fields), None)

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
