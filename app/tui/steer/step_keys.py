"""The key bar while a reply is held. Pure."""

from __future__ import annotations

from app.tui.keymap import Keymap
from app.tui.widgets.bar import Segment

_KEYS = (
    ("Space", "token"),
    ("↑↓ ⏎", "take"),
    ("t", "type"),
    ("b", "ban"),
    ("1–9", "count"),
    ("r", "run on"),
)


def step_hints(keymap: Keymap) -> list[Segment]:
    """Returns what the keys do; the first ones are the last to give way."""
    shown = [Segment(what, "$foreground-muted", "", 90 - place, f"{key} ") for place, (key, what) in enumerate(_KEYS)]
    return [*shown, Segment("stop", "$foreground-muted", "screen.stop", 95, f"{keymap.short('stop')} ")]
