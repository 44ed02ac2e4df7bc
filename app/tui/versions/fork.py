"""Another version of a reply that keeps its beginning: cut at a token, or rewritten in an editor."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import ClassVar

from msgspec import Struct
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static, TextArea

from app.domain.conversation import Message, Role
from app.domain.errors import TokscopeError
from app.domain.text import one_line, safe_text
from app.protocol.events import GenerationStarted
from app.session.events import PrefixRecomputed, TurnEvent
from app.session.send_queue import Chat
from app.tui.common.host import ChatHost
from app.tui.common.safe import Dialog
from app.tui.transcript.widget import Transcript
from app.tui.widgets.composer import Composer
from app.tui.widgets.entry import TextInput


class Rewrite(Dialog[str]):
    """Result: the text that the reply shall begin with; None when it is left, or empty."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s,ctrl+enter", "go_on", show=False, priority=True),
        Binding("ctrl+t", "cut", show=False, priority=True),
        Binding("ctrl+home", "go_to_edge(False)", show=False, priority=True),
        Binding("ctrl+end", "go_to_edge(True)", show=False, priority=True),
    ]

    def __init__(self, text: str) -> None:
        """`text` is the reply as the model wrote it."""
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """Lays the dialog out."""
        with Vertical(classes="dialog dialog-tall"):
            yield Static("Rewrite the start of the reply", classes="dialog-title", markup=False)
            yield TextInput(safe_text(self._text), soft_wrap=True, tab_behavior="focus", highlight_cursor_line=False)
            yield Static(
                Content("Ctrl+T cut after the cursor   Ctrl+S continue from it   Esc close"),
                classes="dialog-hints",
                markup=False,
            )

    def on_mount(self) -> None:
        """Puts the cursor at the end of the text."""
        area = self._area
        area.cursor_blink = False
        area.focus()
        area.move_cursor(area.document.end)

    def action_cut(self) -> None:
        """Deletes everything after the cursor."""
        area = self._area
        area.delete(area.cursor_location, area.document.end)

    def action_go_to_edge(self, end: bool) -> None:
        """Goes to the start or the end of the text."""
        area = self._area
        area.move_cursor(area.document.end if end else area.document.start)

    def action_go_on(self) -> None:
        """Ends the dialog with the text."""
        self._area.call_later(self._go_on)  # after the keys that it has not handled yet

    def _go_on(self) -> None:
        self.dismiss(self._area.text or None)

    @property
    def _area(self) -> TextArea:
        return self.query_one(TextArea)


class ForkWanted(Struct, frozen=True):
    """A sibling of a reply: its first tokens kept, then what is forced, then whatever is sampled."""

    message: Message
    n_tokens: int
    """How many of the reply's tokens are kept."""
    force_ids: tuple[int, ...] = ()
    """Tokens that come next…"""
    text: str = ""
    """…or text, tokenised as content."""


_NO_MODEL = "No model is loaded."


class Forking:
    """Starts turns that go on from a part of a reply; the version before stays beside the new one."""

    def __init__(self, chat: Chat, composer: Composer, transcript: Transcript, host: ChatHost) -> None:
        """`composer` gets back a text that could not be used; `transcript` knows which reply was clicked."""
        self._chat = chat
        self._composer = composer
        self._transcript = transcript
        self._host = host

    async def fork(self, wanted: ForkWanted) -> None:
        """Goes on from a token; a reply that is still being written is stopped first."""
        await self._chat.settle()
        message = self._shown(wanted.message.id)
        if message is None:
            self._refuse("That reply is no longer shown.", wanted.text)
            return
        if not self._chat.can_send:
            self._refuse(_NO_MODEL, wanted.text)
            return
        session = self._chat.session
        events = session.fork(message, wanted.n_tokens, force_ids=wanted.force_ids, text=wanted.text)
        self._chat.again(self._announced(events, f"Forked at token {wanted.n_tokens + 1:,}", wanted.text))

    async def rewrite(self) -> None:
        """Asks for another beginning of the reply that was clicked, or else of the last one, and goes on from it."""
        old = self._chosen()
        if old is None:
            self._host.announce("There is no reply to rewrite yet.")
            return
        if self._chat.running:
            self._host.announce("The start can be rewritten when the reply has ended.")
            return
        text = await self._host.ask(Rewrite(old.content))
        if text and self._chat.can_send:
            self._chat.again(self._announced(self._chat.session.rewrite(old, text), "Rewritten", text))
        elif text:
            self._refuse(_NO_MODEL, text)

    def continue_reply(self) -> None:
        """Continues the reply that was clicked, or else the last one, where it was stopped or hit a limit."""
        old = self._chosen()
        if old is None:
            self._host.announce("There is no reply to continue yet.")
        elif self._chat.running:
            self._host.announce("A reply can be continued when it has ended.")
        elif not old.is_cut_short:
            self._host.announce("The model ended this reply itself. Only one that was cut short can be continued.")
        elif not self._chat.can_send:
            self._refuse(_NO_MODEL, "")
        else:
            self._chat.again(self._announced(self._chat.session.continue_reply(old), "Continued", ""))

    def _chosen(self) -> Message | None:
        """Returns the reply that was clicked, or else the last one; None before the first."""
        replies = [message for message in self._chat.session.branch if message.role is Role.ASSISTANT]
        clicked = self._transcript.chosen_reply
        return next((message for message in replies if message.id == clicked), replies[-1] if replies else None)

    def _shown(self, message_id: int) -> Message | None:
        return next((message for message in self._chat.session.branch if message.id == message_id), None)

    def _refuse(self, why: str, text: str) -> None:
        self._give_back(text)
        self._host.announce(f"{why} The text is in the composer." if text else why)
        self._chat.advance()  # what waited for the reply that was stopped

    def _give_back(self, text: str) -> None:
        if text:
            self._composer.put_draft(text)

    async def _announced(self, events: AsyncGenerator[TurnEvent], what: str, text: str) -> AsyncGenerator[TurnEvent]:
        try:
            async for event in self._reported(events, what):
                yield event
        except TokscopeError:
            self._give_back(text)
            raise

    async def _reported(self, events: AsyncGenerator[TurnEvent], what: str) -> AsyncGenerator[TurnEvent]:
        async with aclosing(events) as stream:
            async for event in stream:
                if isinstance(event, GenerationStarted):
                    n_new = event.n_prompt - event.n_cached
                    self._host.announce(f"{what}: reused {event.n_cached:,}, computed {n_new:,}.")
                elif isinstance(event, PrefixRecomputed):
                    self._host.announce(
                        f"The kept part is from {one_line(event.model)}; the loaded model computes it again."
                    )
                yield event
