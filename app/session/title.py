"""Names a conversation by its beginning."""

from __future__ import annotations

from app.domain.text import one_line

TITLE_LIMIT = 60


def title_of(text: str) -> str:
    """The title of a conversation that begins with `text`: its first line that says something, made safe."""
    lines = (one_line(line, TITLE_LIMIT) for line in text.splitlines())
    return next(filter(None, lines), "New conversation")
