"""The stored conversations: find, rename, delete and restore. Knows no widget."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.conversation import Conversation, ConversationKind, Message, Role
from app.domain.errors import StoreError
from app.session.erasing import erase_expired
from app.session.session import Session
from app.store.store import Store


class Library:
    """The stored conversations, and which one is on the screen."""

    def __init__(self, session: Session) -> None:
        """Every method raises StoreError if the session has no store."""
        self._forget = session.engine.forget
        self._opened = session.store
        self._session = session
        self._deleted: list[tuple[Conversation, bool]] = []

    async def find(self, query: str, kind: ConversationKind | None = None) -> list[Conversation]:
        """Returns the conversations of a kind whose title or text contains `query`, newest first."""
        return await self._store.conversations(query, kind=kind)

    async def rename(self, conversation_id: int, title: str) -> None:
        """Gives a conversation another title."""
        if conversation_id < 0:
            raise StoreError("this conversation is not saved yet", "It can be renamed once it is.")
        await self._store.rename(conversation_id, title)
        current = self._session.conversation
        if current is not None and current.id == conversation_id:
            self._session.conversation = await self._store.conversation(conversation_id)

    async def delete(self, conversation: Conversation) -> bool:
        """Deletes a conversation, which can be undone; returns whether it was the one on the screen."""
        if conversation.id < 0:
            raise StoreError("this conversation is not saved yet", "A new conversation leaves it behind.")
        shown = self.is_shown(conversation)
        await self._store.delete(conversation.id)
        self._forget((conversation.id,))
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
            self._forget(ids)

    def forget_gone(self) -> None:
        """Erases the engine's saved states of the conversation on the screen if another window deleted it."""
        if self._session.gone and self._session.conversation:
            self._forget((self._session.conversation.id,))

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


def prompts(branch: Sequence[Message]) -> list[str]:
    """Returns the user's messages, the oldest first, for the composer's history."""
    return [message.content for message in branch if message.role is Role.USER]


def n_tokens(branch: Sequence[Message], model: str) -> int | None:
    """Returns the tokens of a conversation after its last reply; None if another model counted them."""
    if not branch:
        return 0
    record = next((message.generation for message in reversed(branch) if message.role is Role.ASSISTANT), None)
    if record is None or record.model != model:
        return None
    return record.usage.n_prompt + record.usage.n_generated - record.n_shifted_tokens


def as_markdown(title: str, branch: Sequence[Message]) -> str:
    """Returns a conversation as one Markdown document."""
    names = {Role.USER: "You", Role.ASSISTANT: "Model", Role.SYSTEM: "System"}
    parts = [f"# {title}"]
    parts += [f"## {names[message.role]}\n\n{message.content.strip()}" for message in branch]
    return "\n\n".join(parts) + "\n"
