"""What somebody types before there is anything to type in."""

from __future__ import annotations

from textual import events


class Ahead:
    """Keeps what is written. Backspace is done here: replayed in one burst it would come after the keys behind it."""

    def __init__(self, text: str) -> None:
        """Begins with `text`, in which a line's end is Enter."""
        self._kept: list[events.Event] = [
            events.Key("enter", "\r") if char == "\n" else events.Key(char, char) for char in text
        ]
        self._open = True

    def keep(self, event: events.Event) -> bool:
        """Keeps an event that writes; False for any other, and for all once they were taken."""
        if not self._open or event.is_forwarded:
            return False
        if isinstance(event, events.Key) and event.key == "ctrl+j":
            event = events.Key("enter", "\r")  # Enter too, if it was typed before the terminal went raw
        if isinstance(event, events.Key) and event.key == "backspace":
            if self._kept and isinstance(last := self._kept[-1], events.Key) and last.is_printable:
                self._kept.pop()
            return True
        writes = isinstance(event, events.Paste) or (
            isinstance(event, events.Key) and (event.is_printable or event.key == "enter")
        )
        if writes:
            self._kept.append(event)
        return writes

    def take(self) -> list[events.Event]:
        """Returns what was kept, oldest first, and keeps no more."""
        self._open = False
        return self._kept
