"""What the user does with whole conversations, the dialogs included."""

from __future__ import annotations

from collections.abc import Callable

from app.domain.conversation import Message
from app.domain.text import one_line
from app.tui.flow.chat import Chat
from app.tui.flow.library import Library
from app.tui.screens.dialogs import AskLine, Confirm
from app.tui.screens.history import HistoryPicker
from app.tui.screens.safe import Ask


class Conversations:
    """Opens, renames and deletes; shows the branch after every change."""

    def __init__(
        self,
        chat: Chat,
        library: Library,
        *,
        show: Callable[[list[Message]], None],
        ask: Ask,
        tell: Callable[[str], None],
    ) -> None:
        """`show` puts a branch on the screen, `tell` shows a notice."""
        self._chat = chat
        self._library = library
        self._show = show
        self._ask = ask
        self._tell = tell

    async def new(self) -> None:
        """Begins an empty conversation."""
        await self._chat.settle()
        self._chat.session.new()
        self._show(self._chat.session.branch)

    async def open(self, conversation_id: int) -> None:
        """Opens a stored conversation."""
        await self._chat.settle()
        await self._chat.session.open(conversation_id)
        self._show(self._chat.session.branch)

    async def open_last(self) -> None:
        """Opens the conversation used last, if there is one."""
        if await self._chat.session.open_last():
            self._show(self._chat.session.branch)
        else:
            self._tell("There is no conversation to continue yet.")

    async def history(self) -> None:
        """Shows the history and opens what is chosen there."""
        current = self._chat.session.conversation
        picker = HistoryPicker(self._library, self._ask, current.id if current else None)
        chosen = await self._ask(picker)
        if chosen is not None and (current is None or int(chosen) != current.id):
            await self.open(int(chosen))
        elif self._chat.session.conversation is None:
            self._show(self._chat.session.branch)

    async def rename(self) -> None:
        """Asks for another title of the conversation on the screen."""
        current = self._chat.session.conversation
        if current is None:
            self._tell("There is nothing to rename yet.")
            return
        title = await self._ask(AskLine("Rename the conversation", current.title))
        if title:
            await self._library.rename(current.id, title)

    async def delete(self) -> None:
        """Deletes the conversation on the screen after a question."""
        current = self._chat.session.conversation
        if current is None:
            self._tell("There is nothing to delete yet.")
            return
        question = f"Delete “{one_line(current.title, 60)}”?"
        if await self._ask(Confirm(question, "Delete", "Keep")):
            await self._chat.settle()
            await self._library.delete(current)
            self._show(self._chat.session.branch)
            self._tell("Deleted. The command “Bring back what was deleted” undoes it.")

    async def undo_delete(self) -> None:
        """Brings the last deleted conversation back and opens it."""
        conversation = await self._library.undo_delete()
        if conversation is None:
            self._tell("Nothing was deleted in this session.")
        else:
            await self.open(conversation.id)
