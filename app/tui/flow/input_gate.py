"""Keeps keys and pastes while a dialog opens or closes, and hands them on in order to what comes up.

Knows no widget: the app says when input is held and delivers what was kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

from textual import events

_Input = events.Key | events.Paste


class Hold:
    """One reason to keep input; compared by identity."""


class InputGate:
    """Open while nobody holds it."""

    def __init__(
        self,
        *,
        deliver: Callable[[events.Event], Awaitable[None]],
        later: Callable[[Callable[[], Awaitable[None]]], object],
        passes: Callable[[str], bool],
        opening: Callable[[], bool],
    ) -> None:
        """Takes what it needs as functions.

        Args:
            deliver: gives an event to what has the focus now.
            later: runs a callback after the messages that the app has received so far.
            passes: tells whether a key acts whatever is held, as the one that quits does.
            opening: tells whether the screen on top cannot take input yet.
        """
        self._deliver = deliver
        self._later = later
        self._passes = passes
        self._opening = opening
        self._holds: set[Hold] = set()
        self._kept: deque[_Input] = deque()

    def hold(self) -> Hold:
        """Keeps input from now on, until this hold is released or `open` is called."""
        hold = Hold()
        self._holds.add(hold)
        return hold

    def release(self, hold: Hold) -> None:
        """Ends one hold; a second time does nothing."""
        self._holds.discard(hold)
        self._wake()

    def open(self) -> None:
        """Ends every hold: what input was kept for can take it."""
        self._holds.clear()
        self._wake()

    def keep(self, event: events.Event) -> bool:
        """Keeps an event while the gate is held or earlier input waits; returns whether it did."""
        if not isinstance(event, _Input) or event.is_forwarded or not (self._kept or self._closed):
            return False
        if isinstance(event, events.Key) and self._passes(event.key):
            return False
        self._kept.append(event)
        self._wake()
        return True

    @property
    def _closed(self) -> bool:
        return bool(self._holds) or self._opening()

    def _wake(self) -> None:
        if self._kept and not self._closed:
            self._later(self._drain)

    async def _drain(self) -> None:
        while self._kept and not self._closed:
            await self._deliver(self._kept.popleft())
