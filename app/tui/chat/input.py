"""Who gets what is typed or pasted; keys wait while a dialog opens or closes."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import NamedTuple

from textual import events
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget

from app.tui.common.commands import Command
from app.tui.common.host import ChatHost
from app.tui.step.dock import StepDock
from app.tui.transcript.view import SCROLL_KEYS
from app.tui.transcript.widget import Transcript
from app.tui.widgets.composer import Composer, is_typed

_Input = events.Key | events.Paste


class InputHold:
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
            passes: returns whether a key acts whatever is held, as the one that quits does.
            opening: returns whether the screen on top cannot take input yet.
        """
        self._deliver = deliver
        self._later = later
        self._passes = passes
        self._opening = opening
        self._holds: set[InputHold] = set()
        self._kept: deque[_Input] = deque()

    def hold(self) -> InputHold:
        """Keeps input from now on, until this hold is released or `open` is called."""
        hold = InputHold()
        self._holds.add(hold)
        return hold

    def release(self, hold: InputHold) -> None:
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


LONE_S = 0.4
"""A letter followed by another one within this time is text: slower than most people type."""
_REGRET_S = 3.0
"""A letter that has run a command is text after all when others follow it within this time."""
_WORDS = {"alt+left": -1, "alt+right": 1}
"""Keys that move by words in a text, whatever command they run elsewhere."""


class _Acted(NamedTuple):
    char: str
    command: Command
    at_s: float


class InputRouter:
    """Moves the focus to where a key or a paste belongs; one per chat."""

    def __init__(
        self, screen: Screen[None], composer: Composer, transcript: Transcript, dock: StepDock, host: ChatHost
    ) -> None:
        """The dock's panel takes the keys of a paused reply; single letters may be commands in the transcript."""
        self._screen = screen
        self._composer = composer
        self._transcript = transcript
        self._dock = dock
        self._host = host
        self._before_step: Composer | Transcript = composer
        self._lone: events.Key | None = None
        self._timer: Timer | None = None
        self._acted: _Acted | None = None

    def route(self, event: events.Key | events.Paste) -> bool:
        """Moves the focus to where `event` belongs; returns whether the event is dealt with."""
        focused = self._screen.focused
        if self._host.read_only or focused is self._dock.line:
            return self._host.read_only and isinstance(event, events.Paste)
        if focused is self._composer:
            if isinstance(event, events.Key) and event.key == "tab" and self._dock.is_shown:
                self._screen.set_focus(self._dock.panel)
                return True
            word = _WORDS.get(event.key, 0) if isinstance(event, events.Key) and self._composer.text else 0
            if word:
                self._composer.call_later(self._composer.move_word, word)
            return bool(word)
        if isinstance(event, events.Paste):
            self._write_letters()
            self._to_composer()
            return False
        if is_typed(event):
            return self._type(event, focused)
        if focused is self._transcript and event.key not in SCROLL_KEYS:
            self._write_lone()
            if self._composer.edits(event.key):
                self._to_composer()
        return False

    def _type(self, event: events.Key, focused: Widget | None) -> bool:
        char = event.character or ""
        if focused is self._dock.panel and self._dock.panel.takes(char):
            return False
        is_command = (
            focused is self._transcript and not self._composer.text and self._host.keymap.of_letter(char) is not None
        )
        if is_command and self._lone is None:
            self._lone = event
            self._timer = self._screen.set_timer(LONE_S, self._act)
            return True
        self._write_letters()
        self._to_composer()
        return False

    def _act(self) -> None:
        if self._lone is not None:
            char, self._lone = self._lone.character or "", None
            if (command := self._host.keymap.of_letter(char)) is None:
                return
            self._acted = _Acted(char, command, monotonic())
            self._screen.call_later(self._screen.run_action, self._acted.command.action)

    def _write_letters(self) -> None:
        """Writes the letters that were taken for commands but began a text."""
        acted, self._acted = self._acted, None
        fresh = acted is not None and self._lone is None and monotonic() - acted.at_s < _REGRET_S
        if acted is not None and fresh and self._screen.focused is self._transcript and not self._composer.text:
            self._composer.type(acted.char)
            if acted.command.id == "step":
                self._screen.call_later(self._screen.run_action, acted.command.action)  # again, which undoes it
        self._write_lone()

    def _write_lone(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        if self._lone is not None:
            char, self._lone = self._lone.character or "", None
            self._to_composer()
            self._composer.type(char)

    def keep_paste(self, text: str) -> None:
        """Takes what was pasted into a view that has no text field."""
        if self._host.read_only:
            return
        self._composer.display = True
        self._composer.paste(text)
        self._host.announce("What you pasted is in the composer.")

    def follow_step(self) -> bool:
        """Focuses the candidates while a reply is paused; returns whether they have just appeared or disappeared."""
        if not self._dock.update():
            return False
        shown = self._dock.is_shown
        if shown:
            on_transcript = self._screen.focused is self._transcript
            self._before_step = self._transcript if on_transcript else self._composer
        self._composer.display = not shown
        (self._dock.panel if shown else self._before_step).focus()
        return True

    def _to_composer(self) -> None:
        self._composer.display = True  # it is hidden while a reply is held
        self._screen.set_focus(self._composer)
