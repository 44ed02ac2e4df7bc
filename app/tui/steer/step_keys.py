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


def step_hints(keymap: Keymap, *, writing: bool) -> list[Segment]:
    """Returns what the keys do; the first ones are the last to give way. `writing`: the composer has the focus."""
    keys = (("Tab", "to the candidates"), ("⏎", "send after this reply")) if writing else _KEYS
    shown = [Segment(what, "$foreground-muted", "", 90 - place, f"{key} ") for place, (key, what) in enumerate(keys)]
    return [*shown, Segment("stop", "$foreground-muted", "screen.stop", 95, f"{keymap.short('stop')} ")]
