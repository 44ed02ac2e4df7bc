"""What lies in a store, as tests ask for it."""

from __future__ import annotations

from app.domain.conversation import Message
from app.store.store import Store


async def children(store: Store, conversation_id: int, parent_id: int | None) -> list[Message]:
    """The messages that answer `parent_id`, or the roots; oldest first."""
    return [message for message in await store.messages(conversation_id) if message.parent_id == parent_id]
