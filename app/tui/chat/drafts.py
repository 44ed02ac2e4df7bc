"""When what is being written is stored: a moment after it changed, at most once a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from app.domain.conversation import UserMessage
from app.domain.errors import StoreError
from app.store.store import Store

_PAUSE_S = 1.0


def unsent_text(waiting: Sequence[UserMessage], draft: str) -> str:
    """Returns the queued messages and the draft, one below the other."""
    return "\n".join(filter(None, [*(each.text for each in waiting), draft]))


class DraftKeeper:
    """One per chat. Sleeps while nothing changes; a store that fails is no error here."""

    def __init__(self, store: Store | None, read: Callable[[], str], pause_s: float = _PAUSE_S) -> None:
        """`read` returns what is not sent now."""
        self._store = store
        self._read = read
        self._pause_s = pause_s
        self._changed = False
        self._kept = ""
        self._task: asyncio.Task[None] | None = None
        self._at_once: asyncio.Task[None] | None = None

    async def take(self) -> str:
        """Returns what sessions that have ended had not sent; from now on it is this one's."""
        if self._store is not None:
            with suppress(StoreError):
                if taken := await self._store.take_drafts():
                    self._kept = taken
                    return taken
        return ""

    def touch(self) -> None:
        """Says that what is not sent may have changed."""
        self._changed = True
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def keep_now(self) -> None:
        """Stores it before whatever the store is asked for next: that may be to forget the same text."""
        self._at_once = asyncio.create_task(self._keep(self._read()))

    async def end(self) -> None:
        """Stores it one last time, for the next session to take."""
        if self._task is not None:
            self._task.cancel()
        await self._keep(self._read())

    async def _run(self) -> None:
        while self._changed:
            await asyncio.sleep(self._pause_s)
            self._changed = False
            await self._keep(self._read())
        self._task = None

    async def _keep(self, text: str) -> None:
        if self._store is None or text == self._kept:
            return
        with suppress(StoreError):
            await self._store.keep_draft(text)
            self._kept = text
