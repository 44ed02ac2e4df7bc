"""Which character of a reply's text a cell of its lines shows. Worked out for a click, and only then."""

from __future__ import annotations

from itertools import accumulate

from app.domain.text import safe_text
from app.tui.transcript.entry import Entry
from app.tui.transcript.laid import Laid, shown_text
from app.tui.transcript.look import Look, Voice


def character_at(entry: Entry, part: int, row: int, cell: int, look: Look) -> int | None:
    """Returns the offset in `entry.source` of what stands in a cell of a row of a part.

    None where that is nothing of a reply's own: bullets' indents, borders, padding, notes, and what others wrote.
    """
    if entry.voice is not Voice.ASSISTANT or part >= len(entry.parts):
        return None
    at = Laid(entry, part, look).offset_at(row, cell)
    return None if at is None else before_safe(entry, at)


def before_safe(entry: Entry, at: int) -> int:
    """Returns the offset in `entry.source` of what stands at an offset of the text that is shown of it."""
    if len(entry.source) == len(shown_text(entry)):
        return at
    ends = accumulate(len(safe_text(char)) for char in entry.source)
    return next((k for k, end in enumerate(ends) if end > at), len(entry.source))
