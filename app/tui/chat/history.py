"""The history: find, open, rename and delete stored conversations."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Sequence
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType

from app.domain.conversation import Conversation, ConversationKind
from app.domain.errors import TokscopeError
from app.domain.text import one_line
from app.tui.chat.conversations import Conversations
from app.tui.common.host import ChatHost
from app.tui.dialogs.confirm import AskLine, Confirm
from app.tui.dialogs.picker import Picker, PickerRow


def ago(then_ms: int, now_ms: int) -> str:
    """Returns how long ago something was, in the largest unit that makes sense: `5 min`, `3 h`, `12 d`."""
    seconds = max(0, now_ms - then_ms) // 1000
    for unit, size in (("y", 365 * 86400), ("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return "now"


_KINDS: dict[ConversationKind | None, str] = {
    ConversationKind.CHAT: "chats",
    ConversationKind.ASK: "questions of tok ask",
    None: "chats and questions",
}
"""What is listed, in the order of F3."""


class HistoryPicker(Picker):
    """Result: the id of the conversation to open, as text."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2", "rename", show=False, priority=True),
        Binding("ctrl+d", "delete", show=False, priority=True),
        Binding("ctrl+z", "undo", show=False, priority=True),
        Binding("f3", "kind", show=False, priority=True),
    ]
    TITLE_TEXT: ClassVar[str] = "History: chats"
    PLACEHOLDER: ClassVar[str] = "find in titles and texts"
    NOTHING: ClassVar[str] = "No conversation found. F3 shows the questions of tok ask, then all."
    HINTS: ClassVar[str] = "Enter open   F2 rename   F3 kind   ^D delete   ^Z undo   Esc close"

    def __init__(self, conversations: Conversations, host: ChatHost) -> None:
        super().__init__()
        self._conversations = conversations
        self._library = conversations.library
        self._host = host
        self._found: dict[str, Conversation] = {}
        self._kind: ConversationKind | None = ConversationKind.CHAT

    async def find(self, query: str) -> Sequence[PickerRow]:
        """Returns the conversations that the store finds."""
        conversations = await self._library.find(query, self._kind)
        self._found = {str(conversation.id): conversation for conversation in conversations}
        return [self._row(conversation) for conversation in conversations]

    def _row(self, conversation: Conversation) -> PickerRow:
        when = ago(conversation.updated_ms, time.time_ns() // 1_000_000)
        n = conversation.n_messages
        asked = "question · " if conversation.kind is ConversationKind.ASK else ""
        return PickerRow(
            str(conversation.id),
            conversation.title or "untitled",
            f"{asked}{when}",
            f"{n} message{'' if n == 1 else 's'}",
            current=self._library.is_shown(conversation),
        )

    async def action_kind(self) -> None:
        """Shows the questions of `tok ask`, then both, then the chats again."""
        kinds = list(_KINDS)
        self._kind = kinds[(kinds.index(self._kind) + 1) % len(kinds)]
        self.heading.update(f"History: {_KINDS[self._kind]}")
        await self.refill()

    def action_rename(self) -> None:
        """Asks for another title."""
        self._host.open(self._rename())

    async def _rename(self) -> None:
        if (conversation := self._conversation()) is None:
            return
        title = await self._host.ask(AskLine("Rename", conversation.title))
        if title and await self._attempt(self._library.rename(conversation.id, title)):
            await self.refill(str(conversation.id))

    def action_delete(self) -> None:
        """Asks and deletes; Ctrl+Z restores it."""
        self._host.open(self._delete())

    async def _delete(self) -> None:
        if (conversation := self._conversation()) is None:
            return
        question = f"Delete “{one_line(conversation.title, 60)}”?"
        if await self._host.ask(Confirm(question, "Delete", "Keep")) and await self._attempt(
            self._conversations.remove(conversation)
        ):
            await self.refill()

    @work(exclusive=True)
    async def action_undo(self) -> None:
        """Restores the last deleted conversation."""
        if await self._attempt(self._conversations.bring_back()):
            await self.refill(self.highlighted.id if self.highlighted else None)

    async def _attempt(self, work: Awaitable[object]) -> bool:
        """Returns whether `work` succeeded; shows what went wrong."""
        try:
            await work
        except TokscopeError as error:
            self.show_problem(error)
            return False
        return True

    def _conversation(self) -> Conversation | None:
        row = self.highlighted
        return self._found.get(row.id) if row is not None else None


async def choose_from_history(conversations: Conversations, host: ChatHost) -> None:
    """Shows the history and opens the conversation that is chosen."""
    chosen = await host.ask(HistoryPicker(conversations, host))
    if chosen is not None:
        await conversations.open(int(chosen))
