"""The commands on whole conversations: new, open, rename, delete, undo."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.conversation import Conversation
from app.domain.text import one_line
from app.session.send_queue import Chat
from app.tui.chat.library import Library
from app.tui.chat.models import ModelLoads
from app.tui.chat.settings import SettingsSwitch
from app.tui.common.host import ChatHost
from app.tui.dialogs.confirm import AskLine, Confirm


class Conversations:
    """Opens, renames and deletes; shows the branch after every change."""

    def __init__(self, chat: Chat, settings: SettingsSwitch, loads: ModelLoads, host: ChatHost) -> None:
        self._chat = chat
        self._settings = settings
        self._loads = loads
        self._host = host
        self.library = Library(chat.session)

    async def new(self) -> None:
        """Begins an empty conversation."""
        await self._leave()
        self._chat.session.new()
        self._settings.begin()
        self._show()

    async def open(self, conversation_id: int) -> None:
        """Opens a stored conversation, unless it is on the screen."""
        if conversation_id == self._settings.conversation_id:
            return
        await self._leave()
        await self._chat.session.open(conversation_id)
        await self._show_opened()

    async def open_last(self) -> None:
        """Opens the conversation used last, if there is one."""
        if await self._chat.session.open_last():
            await self._show_opened(with_options=True)
        else:
            self._host.announce("There is no conversation to continue yet.")

    async def rename(self) -> None:
        """Asks for another title of the conversation on the screen."""
        current = self._chat.session.conversation
        if current is None:
            self._host.announce("There is nothing to rename yet.")
            return
        title = await self._host.ask(AskLine("Rename the conversation", current.title))
        if title:
            await self.library.rename(current.id, title)

    async def delete(self) -> None:
        """Deletes the conversation on the screen after a question."""
        current = self._chat.session.conversation
        if current is None:
            self._host.announce("There is nothing to delete yet.")
            return
        question = f"Delete “{one_line(current.title, 60)}”?"
        if await self._host.ask(Confirm(question, "Delete", "Keep")):
            await self.remove(current)
            self._host.announce("Deleted. The command “Bring back what was deleted” undoes it.")

    async def undo_delete(self) -> None:
        """Brings the last deleted conversation back and opens it."""
        conversation = await self.bring_back()
        if conversation is not None and conversation.id > 0:
            await self.open(conversation.id)

    async def remove(self, conversation: Conversation) -> None:
        """Deletes a conversation without asking; leaves it first if it is on the screen."""
        if self.library.is_shown(conversation):
            self._host.give_back()
            await self._chat.settle()
        if await self.library.delete(conversation):
            self._settings.begin()
            self._show()

    async def bring_back(self) -> Conversation | None:
        """Restores the last deleted conversation, and shows it if it was on the screen; returns None if there is none.

        A deletion of the conversation on the screen by another window is undone first.
        """
        if self._chat.session.gone and not self._chat.session.busy:
            await self._chat.session.bring_back()
            self._show()
            return self._chat.session.conversation
        found = await self.library.undo_delete()
        if found is None:
            self._host.announce("No deleted conversation can be brought back.")
            return None
        conversation, was_shown = found
        if was_shown and self._chat.session.conversation is None:
            await self.open(conversation.id)
        return conversation

    async def _leave(self) -> None:
        self._host.give_back()
        stopped, conversation = self._chat.running, self._chat.session.conversation
        await self._chat.settle()
        if stopped and conversation is not None:
            title = one_line(conversation.title, 40)
            self._host.announce(f"The reply in “{title}” was stopped. What it wrote is kept in the history.")

    async def _show_opened(self, *, with_options: bool = False) -> None:
        notices = await self._loads.opened(with_options=with_options)
        self._show(notices)

    def _show(self, notices: Sequence[str] = ()) -> None:
        self._host.show_branch(self._chat.session.branch, notices)
        self._chat.advance()  # what was sent while the conversation before was being left
