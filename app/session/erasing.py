"""Erases conversations for good, with every copy of their text that this program made and can find.

The engine's saved states are its own: whoever erases lets it forget them too (`app.client.engine.Forgetful`).
"""

from __future__ import annotations

from collections.abc import Sequence

from app.config.paths import copied_file
from app.domain.errors import StoreError
from app.store.store import Store


async def erase(store: Store, conversation_ids: Sequence[int]) -> None:
    """Erases these. Raises StoreError."""
    await store.purge(*conversation_ids)
    try:
        copied_file().unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot delete {copied_file()}: {error.strerror}", "It may contain their text; delete it yourself."
        ) from error


async def erase_expired(store: Store) -> list[int]:
    """Erases what was deleted too long ago to be restored; returns the ids. Raises StoreError."""
    expired = [each.id for each in await store.deleted(expired=True)]
    if expired:
        await erase(store, expired)
    return expired
