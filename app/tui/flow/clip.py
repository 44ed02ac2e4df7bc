"""Copies to the terminal's clipboard, and says what was copied."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import App

from app.config.paths import cache_dir, ensure_dir

_TERMINAL_LIMIT = 70_000
"""Characters that terminals take through OSC 52; more goes to a file as well."""


def copy(app: App[int], text: str | None, what: str, tell: Callable[[str], None]) -> None:
    """Copies `text`, named `what` in the notice; an empty or missing text is told too."""
    if not text:
        tell(f"There is no {what} to copy.")
        return
    app.copy_to_clipboard(text)
    n_chars = f"{len(text)} character{'' if len(text) == 1 else 's'}"
    if len(text) <= _TERMINAL_LIMIT:
        tell(f"Copied the {what} ({n_chars}).")
        return
    try:
        path = ensure_dir(cache_dir()) / "copied.md"
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        tell(f"Copied the {what} ({n_chars}; the terminal may cut it, and no file could be written: {error.strerror}).")
    else:
        tell(f"Copied the {what} ({n_chars}). Terminals may cut that, so it is in {path} too.")
