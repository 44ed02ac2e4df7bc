"""Reads whole conversations for a command."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from app.cli.trace.stored import opened_store
from app.domain.archive import ArchivedConversation
from app.domain.errors import GoneError, UsageError


def read_one(conversation_id: int) -> ArchivedConversation:
    """Raises UsageError if it is not stored, StoreError if the store cannot be read."""
    return read_many([conversation_id])[conversation_id]


def read_many(ids: Sequence[int] | None) -> dict[int, ArchivedConversation]:
    """Returns conversations by number, all of them, oldest first, if `ids` is None.

    Raises UsageError if one is not stored, StoreError if the store cannot be read.
    """

    async def read() -> dict[int, ArchivedConversation]:
        async with opened_store() as store:
            if store is None:
                if ids:
                    raise _missing(ids[0])
                return {}
            wanted = ids if ids is not None else sorted([each.id for each in await store.conversations(limit=-1)])
            found: dict[int, ArchivedConversation] = {}
            for each in wanted:
                try:
                    found[each] = await store.archive.read(each)
                except GoneError:
                    raise _missing(each) from None
            return found

    return asyncio.run(read())


def _missing(conversation_id: int) -> UsageError:
    return UsageError(f"there is no conversation {conversation_id}", hint="`tok history` lists them")
