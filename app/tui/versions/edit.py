"""Another version of a message of the user: its text is edited in a dialog and sent in the place of the old one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static, TextArea

from app.domain.conversation import Message, Role, UserMessage, prompts
from app.domain.text import safe_text
from app.session.events import MessageStored, TurnEvent
from app.session.send_queue import Chat
from app.tui.common.host import ChatHost
from app.tui.common.safe import Dialog
from app.tui.widgets.composer import Composer
from app.tui.widgets.entry import TextInput


class EditMessage(Dialog[tuple[Message, str]]):
    """Result: the message that was chosen and its new text; None when it is left, or the text is blank."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s,ctrl+enter", "send", show=False, priority=True),
        Binding("alt+up", "walk(-1)", show=False, priority=True),
        Binding("alt+down", "walk(1)", show=False, priority=True),
    ]

    def __init__(self, messages: Sequence[Message]) -> None:
        """`messages` are at least one, oldest first; the last one is shown first."""
        super().__init__()
        self._messages = messages
        self._at = len(messages) - 1
        self._texts = [safe_text(message.content) for message in messages]

    def compose(self) -> ComposeResult:
        """Lays the dialog out."""
        with Vertical(classes="dialog dialog-tall"):
            yield Static(classes="dialog-title", markup=False)
            yield TextInput(soft_wrap=True, tab_behavior="focus", highlight_cursor_line=False)
            walk = "Alt+Up earlier   Alt+Down later   " if len(self._messages) > 1 else ""
            yield Static(Content(f"{walk}Ctrl+S send   Esc close"), classes="dialog-hints", markup=False)

    def on_mount(self) -> None:
        """Shows the last message."""
        self._area.cursor_blink = False
        self._area.focus()
        self._show()

    def action_walk(self, by: int) -> None:
        """Shows an earlier or a later message; what was changed in this one stays until the dialog is closed."""
        self._area.call_later(self._walk, by)  # after the keys that it has not handled yet

    def action_send(self) -> None:
        """Ends the dialog with the text."""
        self._area.call_later(self._send)

    def _walk(self, by: int) -> None:
        self._texts[self._at] = self._area.text
        self._at = min(max(self._at + by, 0), len(self._messages) - 1)
        self._show()

    def _send(self) -> None:
        text = self._area.text
        self.dismiss((self._messages[self._at], text) if text.strip() else None)

    def _show(self) -> None:
        place = f"{self._at + 1} of {len(self._messages)}"
        self.query_one(".dialog-title", Static).update(Content(f"Edit your message {place} and send it again"))
        self._area.load_text(self._texts[self._at])
        self._area.move_cursor(self._area.document.end)

    @property
    def _area(self) -> TextArea:
        return self.query_one(TextArea)


class Editing:
    """Sends edited messages; the old one stays as a version, with all that followed it."""

    def __init__(self, chat: Chat, composer: Composer, host: ChatHost) -> None:
        """`composer` gets back a text that could not be sent."""
        self._chat = chat
        self._composer = composer
        self._host = host

    async def edit(self) -> None:
        """Asks for another text of a message of the user and sends it; a reply that runs is stopped then."""
        messages = [message for message in self._chat.session.branch if message.role is Role.USER]
        if not messages:
            self._host.announce("There is no message to edit yet.")
            return
        edited = await self._host.ask(EditMessage(messages))
        if edited is None:
            return
        message, text = edited
        if text == safe_text(message.content):
            self._host.announce("The message is unchanged and was not sent.")
            return
        await self._chat.settle()
        if self._chat.can_send:
            self._chat.again(self._kept(self._chat.session.send(UserMessage(text), instead_of=message), text))
        else:
            self._composer.put_draft(text)
            self._host.announce("No model is loaded. The text is in the composer.")
            self._chat.advance()  # what waited for the reply that was stopped

    async def _kept(self, events: AsyncGenerator[TurnEvent], text: str) -> AsyncGenerator[TurnEvent]:
        """The turn; its text returns to the composer if it ends before the message is stored."""
        stored = False
        try:
            async with aclosing(events) as stream:
                async for event in stream:
                    if isinstance(event, MessageStored):
                        stored = True
                        self._composer.set_history(prompts(self._chat.session.branch))
                    yield event
        finally:
            if not stored:
                self._composer.put_draft(text)
