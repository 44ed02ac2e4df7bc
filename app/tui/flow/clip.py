"""Says what is known of a text that is copied: what it is, and which clipboard took it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.config.paths import copied_file, ensure_dir
from app.tui.terminal.clipboard import hand_over

_TERMINAL_LIMIT = 70_000
"""Characters that terminals take through OSC 52; more goes to a file as well."""


async def say_who_took(text: str, what: str, tell: Callable[[str], None]) -> None:
    """Gives a text that was sent to the terminal's clipboard to those that answer; says who took it, named `what`."""
    taken_by = await asyncio.to_thread(hand_over, text)
    n_chars = f"{what}, {len(text):,} character{'' if len(text) == 1 else 's'}"
    if taken_by == "system":
        tell(f"Copied to the system's clipboard: {n_chars}.")
        return
    where = "tmux's buffer and offered to the terminal" if taken_by else "the terminal's clipboard (OSC 52)"
    words = f"{'Copied' if taken_by else 'Sent'} to {where}: {n_chars}."
    if not taken_by:
        words += " A terminal that does not allow it ignores it."
    if len(text) > _TERMINAL_LIMIT:
        words += f" Terminals may cut that; {_written(text)}."
    tell(words)


def _written(text: str) -> str:
    try:
        path = copied_file()
        ensure_dir(path.parent)
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        return f"no file could be written either: {error.strerror}"
    return f"it is in {path} too"
