"""What the user does with whole conversations, the dialogs included."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence

from app.domain.conversation import Conversation, Message
from app.domain.text import one_line
from app.session.send_queue import Chat
from app.tui.chat.history import HistoryPicker
from app.tui.chat.library import Library
from app.tui.chat.settings import SettingsSwitch
from app.tui.common.safe import Ask
from app.tui.dialogs.confirm import AskLine, Confirm


class Conversations:
    """Opens, renames and deletes; shows the branch after every change."""

    def __init__(  # noqa: PLR0913 -- each is a part of the screen, or a function of it
        self,
        chat: Chat,
        library: Library,
        settings: SettingsSwitch,
        *,
        show: Callable[[list[Message], Sequence[str]], None],
        give_back: Callable[[], bool],
        ask: Ask,
        run: Callable[[Coroutine[object, object, None]], None],
        announce: Callable[[str], None],
    ) -> None:
        """Takes what it needs.

        Args:
            chat: the chat on the screen.
            library: the stored conversations.
            settings: switches to what answers a conversation.
            show: puts a branch on the screen, and notices below it.
            give_back: puts what waits into the composer.
            ask: shows a dialog.
            run: runs work that opens a dialog, in the background.
            tell: shows a notice.
        """
        self._chat = chat
        self._library = library
        self._settings = settings
        self._show_branch = show
        self._give_back = give_back
        self._ask = ask
        self._run = run
        self._announce = announce

    async def new(self) -> None:
        """Begins an empty conversation."""
        await self._leave()
        self._chat.session.new()
        self._settings.begin()
        self._show()

    async def open(self, conversation_id: int) -> None:
        """Opens a stored conversation."""
        await self._leave()
        await self._chat.session.open(conversation_id)
        await self._show_opened()

    async def open_last(self) -> None:
        """Opens the conversation used last, if there is one."""
        if await self._chat.session.open_last():
            await self._show_opened(with_options=True)
        else:
            self._announce("There is no conversation to continue yet.")

    async def history(self) -> None:
        """Shows the history and opens what is chosen there."""
        chosen = await self._ask(HistoryPicker(self._library, self._ask, self._run, self.remove, self.bring_back))
        current = self._chat.session.conversation
        if chosen is not None and (current is None or int(chosen) != current.id):
            await self.open(int(chosen))

    async def rename(self) -> None:
        """Asks for another title of the conversation on the screen."""
        current = self._chat.session.conversation
        if current is None:
            self._announce("There is nothing to rename yet.")
            return
        title = await self._ask(AskLine("Rename the conversation", current.title))
        if title:
            await self._library.rename(current.id, title)

    async def delete(self) -> None:
        """Deletes the conversation on the screen after a question."""
        current = self._chat.session.conversation
        if current is None:
            self._announce("There is nothing to delete yet.")
            return
        question = f"Delete “{one_line(current.title, 60)}”?"
        if await self._ask(Confirm(question, "Delete", "Keep")):
            await self.remove(current)
            self._announce("Deleted. The command “Bring back what was deleted” undoes it.")

    async def undo_delete(self) -> None:
        """Brings the last deleted conversation back and opens it."""
        conversation = await self.bring_back()
        if conversation is not None and conversation.id > 0:
            await self.open(conversation.id)

    async def remove(self, conversation: Conversation) -> None:
        """Deletes a conversation without a question; the one on the screen is left first."""
        if self._library.is_shown(conversation):
            self._give_back()
            await self._chat.settle()
        if await self._library.delete(conversation):
            self._settings.begin()
            self._show()

    async def bring_back(self) -> Conversation | None:
        """Brings the last deleted conversation back, on the screen if it was there; tells when nothing was deleted.

        What another window did to the conversation on the screen is undone first.
        """
        if self._chat.session.gone and not self._chat.session.busy:
            await self._chat.session.bring_back()
            self._show()
            return self._chat.session.conversation
        found = await self._library.undo_delete()
        if found is None:
            self._announce("No deleted conversation can be brought back.")
            return None
        conversation, was_shown = found
        if was_shown and self._chat.session.conversation is None:
            await self.open(conversation.id)
        return conversation

    async def sweep(self) -> None:
        """Erases what was deleted too long ago to be brought back; the engine forgets all that is deleted."""
        await self._library.sweep()

    def forget_gone(self) -> None:
        """Lets the engine forget the conversation on the screen where another window deleted it."""
        self._library.forget_gone()

    async def _leave(self) -> None:
        self._give_back()
        stopped, conversation = self._chat.running, self._chat.session.conversation
        await self._chat.settle()
        if stopped and conversation is not None:
            title = one_line(conversation.title, 40)
            self._announce(f"The reply in “{title}” was stopped; what had come is kept. The history opens it again.")

    async def _show_opened(self, *, with_options: bool = False) -> None:
        notices = await self._settings.opened(with_options=with_options)
        self._show(notices)

    def _show(self, notices: Sequence[str] = ()) -> None:
        self._show_branch(self._chat.session.branch, notices)
        self._chat.advance()  # what was sent while the one before was being left
