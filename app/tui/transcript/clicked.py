"""Which character of a reply's text a cell of its lines shows. Worked out for a click, and only then."""

from __future__ import annotations

from itertools import accumulate

from app.domain.text import safe_text
from app.tui.markdown.origin import line_starts
from app.tui.markdown.places import place_at
from app.tui.markdown.render import render
from app.tui.transcript.entry import Entry
from app.tui.transcript.look import Look, Voice


def character_at(entry: Entry, part: int, row: int, cell: int, look: Look) -> int | None:
    """Returns the offset in `entry.source` of what stands in a cell of a row of a part.

    None where that is nothing of a reply's own: bullets' indents, borders, padding, notes, and what others wrote.
    """
    if entry.voice is not Voice.ASSISTANT or part >= len(entry.parts):
        return None
    source = safe_text(entry.source)
    starts = line_starts(source, [each.block for each in entry.parts], part)
    if not starts:
        return None
    block = entry.parts[part].block
    gutter = look.gutter(entry.voice, is_first=part == 0)
    lines = render(block, look.width, look.styles, gutter, with_places=True)
    row -= part > 0 and block.gap
    place = place_at(lines[row], cell) if 0 <= row < len(lines) else None
    if place is None:
        return None
    line = block.text.count("\n", 0, place)
    column = place - (block.text.rfind("\n", 0, place) + 1)
    return _before_safe(entry.source, source, max(0, starts[line] + column))


def _before_safe(raw: str, safe: str, at: int) -> int:
    """Returns the offset in `raw` of what stands at an offset of the same text made safe."""
    if len(raw) == len(safe):
        return at
    ends = accumulate(len(safe_text(char)) for char in raw)
    return next((k for k, end in enumerate(ends) if end > at), len(raw))
