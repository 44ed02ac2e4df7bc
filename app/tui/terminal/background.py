"""Asks the terminal whether its background is dark, and keeps what is typed before there is a composer."""

from __future__ import annotations

import os
import re
import select
import sys
import termios
import time
import tty
from typing import NamedTuple

from textual import events

_QUERY = b"\x1b]11;?\x1b\\\x1b[c"
"""OSC 11 (the background's colour), then DA1, which every terminal answers: no need to wait for silence."""
_COLOUR = re.compile(rb"\]11;rgba?:([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})")
_FENCE = re.compile(rb"\x1b\[\?[0-9;]*c")
_SEQUENCE = re.compile(rb"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\|$)|\x1b[\[O][0-?]*[ -/]*(?:[@-~]|$)|\x1b")
"""An answer, or a key that is no text."""


class BackgroundReply(NamedTuple):
    """What came from the terminal."""

    dark: bool | None
    """None if the answer did not come in time."""
    typed: str
    """What somebody typed meanwhile; a line's end is Enter."""


def ask(timeout_s: float = 0.1) -> BackgroundReply:
    """Waits at most `timeout_s` for the terminal to report its background."""
    reply = _ask(timeout_s)
    return BackgroundReply(parse_reply(reply, os.environ.get("COLORFGBG", "")), typed_ahead(reply))


def typed_ahead(reply: bytes) -> str:
    """Returns the text that was typed between the terminal's answers; what is no text is left out."""
    text = _SEQUENCE.sub(b"", reply).decode("utf-8", "ignore").replace("\r\n", "\n").replace("\r", "\n")
    return "".join(char for char in text if char == "\n" or char.isprintable())


def parse_reply(reply: bytes, colorfgbg: str = "") -> bool | None:
    """Reads an answer to OSC 11, or else `COLORFGBG` (rxvt and others: `15;0`, foreground and background)."""
    if match := _COLOUR.search(reply):
        red, green, blue = (int(part, 16) / (16 ** len(part) - 1) for part in match.groups())
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5
    background = colorfgbg.rpartition(";")[2]
    return int(background) not in {7, 15} if background.isdigit() else None


def _ask(timeout_s: float) -> bytes:
    stdin, stderr = sys.__stdin__, sys.__stderr__
    if stdin is None or stderr is None or not (stdin.isatty() and stderr.isatty()):
        return b""
    fd = stdin.fileno()
    before = termios.tcgetattr(fd)
    reply = b""
    try:
        # TCSANOW: the default, TCSAFLUSH, throws away what somebody types ahead.
        tty.setcbreak(fd, termios.TCSANOW)
        os.write(stderr.fileno(), _QUERY)
        deadline = time.monotonic() + timeout_s
        while not _FENCE.search(reply) and (left := deadline - time.monotonic()) > 0:
            if select.select([fd], [], [], left)[0]:
                reply += os.read(fd, 256)
    except OSError:
        return reply
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
    return reply


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
