"""Asks the terminal whether its background is dark, before the app takes the terminal over.

What somebody types meanwhile comes in between the answers; it is kept.
"""

from __future__ import annotations

import os
import re
import select
import sys
import termios
import time
import tty
from typing import NamedTuple

_QUERY = b"\x1b]11;?\x1b\\\x1b[c"
"""OSC 11 (the background's colour), then DA1, which every terminal answers: no need to wait for silence."""
_COLOUR = re.compile(rb"\]11;rgba?:([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})")
_FENCE = re.compile(rb"\x1b\[\?[0-9;]*c")
_SEQUENCE = re.compile(rb"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\|$)|\x1b[\[O][0-?]*[ -/]*(?:[@-~]|$)|\x1b")
"""An answer, or a key that is no text."""


class Answer(NamedTuple):
    """What came from the terminal."""

    dark: bool | None
    """None when it did not tell in time."""
    typed: str
    """What somebody typed meanwhile; a line's end is Enter."""


def ask(timeout_s: float = 0.1) -> Answer:
    """Waits at most `timeout_s` for the terminal to tell its background."""
    reply = _ask(timeout_s)
    return Answer(parse_reply(reply, os.environ.get("COLORFGBG", "")), typed_ahead(reply))


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
