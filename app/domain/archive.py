"""A conversation outside the database: everything that is stored of it, under numbers of its own."""

from __future__ import annotations

from msgspec import Struct

from app.domain.conversation import ChatSettings, ConversationKind, Message
from app.domain.sampling import SamplingParams


class PackedTrace(Struct, frozen=True):
    """A reply's trace as the store packs it."""

    format: int
    n_tokens: int
    data: bytes


class ArchivedMessage(Struct, frozen=True):
    """A message with what else is stored of it."""

    message: Message
    """Its `id` is its number in the conversation, from 1; `parent_id` is the number of an earlier one."""
    sampling: SamplingParams | None = None
    trace: PackedTrace | None = None


class ArchivedConversation(Struct, frozen=True, kw_only=True):
    """All branches of a conversation."""

    title: str
    kind: ConversationKind = ConversationKind.CHAT
    created_ms: int
    updated_ms: int
    settings: ChatSettings | None = None
    tip: int | None = None
    """Number of the last message of the branch that is shown."""
    messages: tuple[ArchivedMessage, ...] = ()

    @property
    def branch(self) -> list[Message]:
        """The messages shown, from the root to the tip."""
        found: list[Message] = []
        number = self.tip
        while number is not None:
            message = self.messages[number - 1].message
            found.append(message)
            number = message.parent_id
        return found[::-1]


class SearchHit(Struct, frozen=True):
    """A message that a search found."""

    message: Message
    title: str
    """Of its conversation."""


class ImportedFile(Struct, frozen=True):
    """What a file holds."""

    conversations: tuple[ArchivedConversation, ...]
    skipped: dict[str, int] = {}
    """What was not understood: a name for its kind, and how often it was there."""
