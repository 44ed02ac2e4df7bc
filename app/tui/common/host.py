"""What the parts of the chat may ask of its screen."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Protocol

from textual.notifications import SeverityLevel

from app.domain.conversation import Message
from app.tui.common.keymap import Keymap
from app.tui.common.safe import Dialog, Result


class ChatHost(Protocol):
    """The screen of the chat.

    Attributes:
        read_only: whether nothing can be written.
        keymap: the commands on offer.
    """

    read_only: bool
    keymap: Keymap

    async def ask(self, dialog: Dialog[Result]) -> Result | None:
        """Shows a dialog; returns its result, None if it was closed without one."""
        ...

    def announce(self, text: str, severity: SeverityLevel = "information", timeout_s: float | None = None) -> None:
        """Shows a passing notice."""
        ...

    def remark(self, text: str) -> None:
        """Adds a notice of something that went wrong to the transcript."""
        ...

    def run(self, work: Coroutine[object, object, None], *, replaces: str = "") -> None:
        """Runs `work` in the background and announces its errors; `replaces`: cancels earlier work of that name."""
        ...

    def open(self, work: Coroutine[object, object, None]) -> None:
        """Runs `work` that opens a dialog; keys pressed before the dialog is there wait for it."""
        ...

    def show_branch(self, branch: Sequence[Message], notices: Sequence[str] = ()) -> None:
        """Shows these messages in place of what is there, with notices below them."""
        ...

    def refresh_state(self) -> None:
        """Shows the state of the model, the reply and the queue."""
        ...

    def refresh_panels(self) -> None:
        """Shows the figures of the reply."""
        ...
