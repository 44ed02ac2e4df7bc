"""The end of the chat: what could not be saved is saved now, or written to a file that the user can keep."""

from __future__ import annotations

import os
import time
from contextlib import suppress

from app.client.engine import Engine, forget
from app.config.paths import ensure_dir
from app.domain.conversation import Message, as_markdown
from app.domain.errors import StoreError
from app.session.erasing import erase_expired, unsaved_folders
from app.session.session import Session
from app.store.store import Store


async def last_words(session: Session) -> str:
    """Tries once more to save what is kept in memory; returns what the user must know, empty where all is saved.

    What still cannot be saved is written to a Markdown file (0600) in the folder of caches, or in the one for
    temporary files.
    """
    if session.unsaved:
        await session.look()
    if not (unsaved := session.unsaved):
        return ""
    return _write(unsaved)


def _write(unsaved: list[Message]) -> str:
    n = f"{len(unsaved)} message{'' if len(unsaved) == 1 else 's'}"
    text = as_markdown("What tokscope could not save", unsaved)
    name = time.strftime("unsaved-%Y%m%d-%H%M%S.md")
    for folder in unsaved_folders():
        with suppress(OSError):
            path = ensure_dir(folder) / name
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
            return f"{n} could not be saved in the history; saved to {path} instead"
    return f"{n} could not be saved in the history or to a file"


async def close_store(store: Store, engine: Engine, *, works: bool) -> None:
    """Erases what was deleted too long ago to be brought back, where the store works, and closes it."""
    with suppress(StoreError):  # what cannot be erased now is at the next start
        if works and (erased := await erase_expired(store)):
            forget(engine, erased)
    with suppress(StoreError):
        await store.close()
