"""Bracketed paste that cannot press keys.

Textual reads escape sequences even between the paste marks: what follows an ESC there is issued again as keys, and one
of them may be Enter. This parser takes the pasted text out of the stream before it is parsed. Knows nothing of widgets.
"""

from __future__ import annotations

import importlib
from collections.abc import Generator, Iterable

from textual import events
from textual._xterm_parser import BRACKETED_PASTE_END as END
from textual._xterm_parser import BRACKETED_PASTE_START as START
from textual._xterm_parser import XTermParser
from textual.message import Message

_ALT_ENTER = ("\x1b\r", "\x1b[13;3u")
"""Alt+Enter as most terminals send it, which Textual reads as Enter, and as the kitty keyboard protocol does."""
_SHOWN = str.maketrans({"\x1b": "\u241b", "\x00": None})


class SafePasteParser(XTermParser):
    """Emits one `Paste` for all between the marks, with every ESC as the picture U+241B and no NUL.

    Pasted text costs one search a chunk instead of one step a character: 1 MB takes milliseconds.
    """

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._seen = ""
        """The last characters before a paste: a start mark may be cut by a read."""
        self._pasted: list[str] | None = None
        """Chunks of the paste in progress; None outside of one."""
        self._held = ""
        """The end of the last chunk where it may begin an end mark."""

    def feed(self, data: str) -> Iterable[Message]:
        """Parses what was read from the terminal, cut anywhere; "" is the end of it."""
        if not data:
            yield from super().feed(data)
            return
        while data:
            if self._pasted is None:
                data = yield from self._feed_keys(data)
            else:
                data = yield from self._feed_paste(data)

    def tick(self) -> Iterable[Message]:
        """Checks for timeouts: a start mark does not go on after the parser gave it up."""
        waited = self._timeout_time is not None
        yield from super().tick()
        if waited and self._timeout_time is None:
            self._seen = ""

    def _feed_keys(self, data: str) -> Generator[Message, None, str]:
        """Parses up to the end of a start mark and returns the rest."""
        at = (self._seen + data).find(START)
        if at < 0:
            self._seen = (self._seen + data)[1 - len(START) :]
            yield from super().feed(data.replace(*_ALT_ENTER))
            return ""
        end = at + len(START) - len(self._seen)
        self._seen, self._pasted = "", []
        yield from super().feed(data[:end].replace(*_ALT_ENTER))
        return data[end:]

    def _feed_paste(self, data: str) -> Generator[Message, None, str]:
        """Gathers up to an end mark, then emits the paste and returns the rest."""
        assert self._pasted is not None
        data, self._held = self._held + data, ""
        at = data.find(END)
        if at < 0:
            n_held = next((n for n in range(len(END) - 1, 0, -1) if data.endswith(END[:n])), 0)
            self._held = data[len(data) - n_held :]
            self._pasted.append(data[: len(data) - n_held])
            return ""
        text = "".join([*self._pasted, data[:at]]).translate(_SHOWN)
        self._pasted = None
        yield events.Paste(text)
        # The parser below saw the start mark; it ends its own, empty paste here.
        yield from (event for event in super().feed(END) if not isinstance(event, events.Paste))
        return data[at + len(END) :]


def install() -> None:
    """Makes Textual's drivers use `SafePasteParser`. Call it before `App.run`; calling it again changes nothing."""
    for name in ("linux_driver", "web_driver"):
        driver = importlib.import_module(f"textual.drivers.{name}")
        if getattr(driver, "XTermParser", None) is None:
            raise RuntimeError(f"textual.drivers.{name} has no XTermParser: pastes would not be safe")
        driver.XTermParser = SafePasteParser  # pyright: ignore[reportAttributeAccessIssue]  the drivers offer no seam
