"""Asks the terminal whether its background is dark, before the app takes the terminal over."""

from __future__ import annotations

import os
import re
import select
import sys
import termios
import time
import tty

_QUERY = b"\x1b]11;?\x1b\\\x1b[c"
"""OSC 11 (the background's colour), then DA1, which every terminal answers: no need to wait for silence."""
_COLOUR = re.compile(rb"\]11;rgba?:([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})")
_FENCE = re.compile(rb"\x1b\[\?[0-9;]*c")


def is_dark(timeout_s: float = 0.1) -> bool | None:
    """Returns whether the background is dark, None when the terminal does not tell within `timeout_s`."""
    return parse_reply(_ask(timeout_s), os.environ.get("COLORFGBG", ""))


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
        tty.setcbreak(fd)
        os.write(stderr.fileno(), _QUERY)
        deadline = time.monotonic() + timeout_s
        while not _FENCE.search(reply) and (left := deadline - time.monotonic()) > 0:
            if select.select([fd], [], [], left)[0]:
                reply += os.read(fd, 256)
    except OSError:
        return reply
    finally:
        # TCSADRAIN, not TCSAFLUSH: what somebody types ahead must not be thrown away.
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
    return reply
