"""What other programs do to the conversation that is shown, and when a store that failed works again.

Knows no turn: whoever begins one waits for `lock`, so that the branch never changes below it.
"""

from __future__ import annotations

import asyncio

from msgspec import Struct
from msgspec.structs import replace

from app.domain.conversation import ReplyState
from app.session.active_branch import ActiveBranch
from app.session.active_turns import ActiveTurns
from app.session.events import BranchChanged, StoreFailed
from app.session.message_log import MessageLog
from app.session.turn import complete
from app.store.store import Store


class SeenState(Struct, frozen=True):
    """What a look at the store found."""

    failure: StoreFailed | None = None
    """Nothing can be saved from now on."""
    saved: bool = False
    """What was kept in memory is stored now, and saving works again."""
    change: BranchChanged | None = None
    written: bool = False
    """Others wrote since the last look: messages may have other versions now."""


class Others:
    """Follows one session; `lock` is held while its branch may change."""

    def __init__(self, store: Store | None, log: MessageLog, active: ActiveBranch, running: ActiveTurns) -> None:
        self._store = store
        self._log = log
        self._active = active
        self._running = running
        self._stale = False
        self.lock = asyncio.Lock()

    @property
    def write_a_reply(self) -> bool:
        """Whether the branch ends in a reply that another program is writing."""
        branch = self._active.branch
        return not self._running.busy and bool(branch) and branch[-1].state is ReplyState.STREAMING

    async def look(self) -> SeenState:
        """Finds out what has happened since the last look. Costs next to nothing when nothing has.

        While a turn runs only a deletion is noticed; the rest is at the first look after it.
        """
        if self._store is None:
            return SeenState()
        async with self.lock:
            seen = await self._log.attempt(complete(self._look(self._store)))
        return seen or SeenState(self._log.take_failure())

    async def meet(self, *, extend: bool) -> BranchChanged | None:
        """Takes up what others wrote, just before a turn; brings a conversation back that they deleted."""
        if not self._log.saving:
            return None
        return await self._log.attempt(self._meet(extend))

    async def _meet(self, extend: bool) -> BranchChanged | None:
        change = await complete(self._active.refresh(extend=extend))
        if gone := self._active.gone:
            await complete(self._active.bring_back())
            change = replace(change or BranchChanged(), gone=gone)
        return change

    async def _look(self, store: Store) -> SeenState:
        was_saving = self._log.saving
        if was_saving:
            self._stale = await store.changed() or self._stale or self.write_a_reply
            if store.read_only:
                raise store.read_only
            if not self._stale:
                return SeenState()
        if self._running.busy:
            return SeenState(change=await self._look_at_a_turn())
        if not was_saving:
            await self._active.catch_up()
            if not self._log.saving:
                return SeenState()
        self._stale = False
        if self.write_a_reply:
            await store.end_dead_replies()
        return SeenState(saved=not was_saving, change=await self._active.refresh(extend=True), written=True)

    async def _look_at_a_turn(self) -> BranchChanged | None:
        gone = await self._active.look() if self._log.saving else None
        if gone is None or gone is self._active.gone:
            return None
        self._active.gone = gone
        return BranchChanged(gone=gone)
