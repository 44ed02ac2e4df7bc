"""Pasted text that stands in a draft as one short chip, and comes back whole when the draft is sent.

In the document a chip lies between two Unicode noncharacters, which no keyboard and no paste can put there; on the
screen they are brackets. So a chip's text typed by hand is only text. Knows nothing of widgets.
"""

from __future__ import annotations

import re

from app.domain.text import safe_text

MAX_CHARS = 4000
MAX_LINES = 30
"""Longer pastes become chips: a text area needs milliseconds per kilobyte for every key."""

_OPEN, _CLOSE = "\ufdd0", "\ufdd1"
_CHIP = re.compile(f"{_OPEN}[^{_OPEN}{_CLOSE}]*{_CLOSE}")
_BRACKETS = str.maketrans({_OPEN: "[", _CLOSE: "]"})


def normalise(text: str) -> str:
    """Returns `text` with every line end as a newline."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def show(document: str) -> str:
    """Returns document text as it is drawn: chips in brackets, one character for one."""
    return document.translate(_BRACKETS)


def chip_at(line: str, start: int, end: int) -> tuple[int, int]:
    """Returns the columns `start`..`end` of a line widened so that they cut no chip.

    A position inside a chip becomes the chip's end.
    """
    for match in _CHIP.finditer(line):
        first, last = match.span()
        if start == end and first < start < last:
            return last, last
        if first < start < last:
            start = first
        if first < end < last:
            end = last
    return start, end


class Chips:
    """The texts behind the chips of one composer, kept as long as it lives: undo and history may bring any back."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def admit(self, text: str, max_lines: int | None = None) -> str:
        """Returns what stands for `text` in a document: itself, or a chip where it is long or cannot be shown as it is.

        Control and bidirectional characters, and the chips' own marks, cannot.
        """
        too_long = len(text) > MAX_CHARS or (max_lines is not None and text.count("\n") >= max_lines)
        if not too_long and safe_text(text) == text and _OPEN not in text and _CLOSE not in text:
            return text
        n_lines = text.count("\n") + 1
        size = f"{n_lines} line{'s' * (n_lines > 1)}, {len(text)} char{'s' * (len(text) != 1)}"
        chip = f"{_OPEN}Pasted #{len(self._texts) + 1}: {size}{_CLOSE}"
        self._texts[chip] = text
        return chip

    def expand(self, document: str) -> str:
        """Returns a document's text with every chip replaced by what was pasted; a torn chip stays as drawn."""
        pieces: list[str] = []
        end = 0
        for match in _CHIP.finditer(document):
            pieces += [show(document[end : match.start()]), self._texts.get(match.group(), show(match.group()))]
            end = match.end()
        return "".join([*pieces, show(document[end:])])
