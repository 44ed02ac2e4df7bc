"""The stored conversations, and the commands on them: new, open, rename, delete, undo."""

from __future__ import annotations

from collections.abc import Sequence

from app.client.engine import forget
from app.domain.conversation import Conversation, ConversationKind
from app.domain.errors import StoreError
from app.domain.text import one_line
from app.session.erasing import erase_expired
from app.session.send_queue import Chat
from app.session.session import Session
from app.store.store import Store
from app.tui.chat.models import ModelLoads
from app.tui.chat.replies import Replies
from app.tui.chat.settings import SettingsSwitch
from app.tui.common.host import ChatHost
from app.tui.dialogs.confirm import AskLine, Confirm


class Library:
    """The stored conversations, and which one is on the screen."""

    def __init__(self, session: Session) -> None:
        """Every method raises StoreError if the session has no store."""
        self._opened = session.store
        self._session = session
        self._deleted: list[tuple[Conversation, bool]] = []

    async def find(self, query: str, kind: ConversationKind | None = None) -> list[Conversation]:
        """Returns the conversations of a kind whose title or text contains `query`, newest first."""
        return await self._store.conversations(query, kind=kind)

    async def rename(self, conversation_id: int, title: str) -> None:
        """Gives a conversation another title."""
        if conversation_id < 0:
            raise StoreError("this conversation is not saved yet", "Rename it once it is saved.")
        await self._store.rename(conversation_id, title)
        current = self._session.conversation
        if current is not None and current.id == conversation_id:
            self._session.conversation = await self._store.conversation(conversation_id)

    async def delete(self, conversation: Conversation) -> bool:
        """Deletes a conversation, which can be undone; returns whether it was the one on the screen."""
        if conversation.id < 0:
            raise StoreError("this conversation is not saved yet", "Start a new conversation instead.")
        shown = self.is_shown(conversation)
        await self._store.delete(conversation.id)
        forget(self._session.engine, (conversation.id,))
        self._deleted.append((conversation, shown))
        if shown:
            self._session.new()
        return shown

    async def sweep(self) -> None:
        """Erases what was deleted too long ago, and the engine's saved states of all that is deleted.

        Another window may have saved such states after the deletion.
        """
        if self._opened is None:
            return
        ids = [] if self._opened.read_only else await erase_expired(self._opened)
        ids += [each.id for each in await self._opened.deleted()]
        if ids:
            forget(self._session.engine, ids)

    def forget_gone(self) -> None:
        """Erases the engine's saved states of the conversation on the screen if another window deleted it."""
        if self._session.gone and self._session.conversation:
            forget(self._session.engine, (self._session.conversation.id,))

    async def undo_delete(self) -> tuple[Conversation, bool] | None:
        """Restores the last deletion, of this window if there is one, else of any other window or session.

        Returns the conversation and whether it was on the screen here; None if nothing can be restored.
        """
        deleted = {each.id: each for each in await self._store.deleted()}
        while self._deleted and self._deleted[-1][0].id not in deleted:
            self._deleted.pop()  # erased, or brought back elsewhere
        conversation, shown = self._deleted[-1] if self._deleted else (next(iter(deleted.values()), None), False)
        if conversation is None:
            return None
        await self._store.restore(conversation.id)
        if self._deleted:
            self._deleted.pop()
        return conversation, shown

    def is_shown(self, conversation: Conversation) -> bool:
        """Returns whether a conversation is the one on the screen."""
        current = self._session.conversation
        return current is not None and current.id == conversation.id

    @property
    def _store(self) -> Store:
        if self._opened is None:
            raise StoreError("Conversations are not saved in this session.")
        return self._opened


class Conversations:
    """Opens, renames and deletes; shows the branch after every change."""

    def __init__(
        self, chat: Chat, settings: SettingsSwitch, loads: ModelLoads, replies: Replies, host: ChatHost
    ) -> None:
        self._chat = chat
        self._settings = settings
        self._loads = loads
        self._replies = replies
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
            self._replies.give_back()
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
            self._host.announce("There is no deleted conversation to restore.")
            return None
        conversation, was_shown = found
        if was_shown and self._chat.session.conversation is None:
            await self.open(conversation.id)
        return conversation

    async def _leave(self) -> None:
        self._replies.give_back()
        stopped, conversation = self._chat.running, self._chat.session.conversation
        await self._chat.settle()
        if stopped and conversation is not None:
            title = one_line(conversation.title, 40)
            self._host.announce(f"The reply in “{title}” was stopped. Its text is in the history.")

    async def _show_opened(self, *, with_options: bool = False) -> None:
        notices = await self._loads.opened(with_options=with_options)
        self._show(notices)

    def _show(self, notices: Sequence[str] = ()) -> None:
        self._host.show_branch(self._chat.session.branch, notices)
        self._chat.advance()  # what was sent while the conversation before was being left
