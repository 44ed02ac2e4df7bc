"""When what is being written is kept: a moment after it changed, at most once a second, off the event loop's thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.tui.common.preferences import Preferences

_PAUSE_S = 1.0


class DraftKeeper:
    """One per chat. Sleeps while nothing changes."""

    def __init__(self, memory: Preferences, read: Callable[[], str], pause_s: float = _PAUSE_S) -> None:
        """`read` returns what is not sent now."""
        self._memory = memory
        self._read = read
        self._pause_s = pause_s
        self._changed = False
        self._task: asyncio.Task[None] | None = None

    def touch(self) -> None:
        """Says that what is not sent may have changed."""
        self._changed = True
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def keep_now(self) -> None:
        """Keeps it before this returns: what it holds is about to be kept nowhere else."""
        self._memory.keep_draft(self._read())

    def end(self) -> None:
        """Keeps it one last time, for the next session to take."""
        if self._task is not None:
            self._task.cancel()
        self._memory.keep_unsent(self._read())

    async def _run(self) -> None:
        while self._changed:
            await asyncio.sleep(self._pause_s)
            self._changed = False
            await asyncio.to_thread(self._memory.keep_draft, self._read())
        self._task = None
