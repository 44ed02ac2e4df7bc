"""Erases conversations for good, with every copy of their text that this program made and can find.

The engine's saved states are its own: whoever erases lets it forget them too (`app.client.engine.Forgetful`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from app.config.paths import cache_dir, copied_file
from app.domain.errors import StoreError
from app.store.files import copies_with, damaged_copies
from app.store.store import Store


def unsaved_folders() -> tuple[Path, ...]:
    """Returns where `unsaved-*.md` files may be, with what could not be saved; the first one that works is used."""
    return cache_dir(), Path(tempfile.gettempdir())


async def erase(store: Store, conversation_ids: Sequence[int]) -> list[Path]:
    """Erases these; returns the damaged databases and files of unsaved messages that were deleted with them.

    Such a file is deleted if it holds their text. Raises StoreError.
    """
    copies = [path for folder in unsaved_folders() for path in folder.glob("unsaved-*.md")]
    copies += damaged_copies(store.path) if store.path else []
    holding = copies_with(copies, await _texts(store, conversation_ids)) if copies else []
    # The copies first: the text that finds them is gone with the rows.
    for path in (*holding, copied_file()):
        _delete(path)
    await store.purge(*conversation_ids)
    return holding


async def _texts(store: Store, conversation_ids: Sequence[int]) -> list[str]:
    texts: list[str] = []
    for each in conversation_ids:
        found = await store.look_up(each)
        texts += [found.title] if found else []
        texts += [message.content for message in await store.messages(each)]
    return texts


def _delete(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot delete {path}: {error.strerror}", "It may contain their text; delete it yourself."
        ) from error


async def erase_expired(store: Store) -> list[int]:
    """Erases what was deleted too long ago to be restored; returns the ids. Raises StoreError."""
    expired = [each.id for each in await store.deleted(expired=True)]
    if expired:
        await erase(store, expired)
    return expired
