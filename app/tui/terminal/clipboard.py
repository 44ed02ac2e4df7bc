"""Ways to a clipboard, and which of them took a text. Slow programs are awaited; call it in a thread."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable

from app.config.paths import copied_file, ensure_dir

_TIMEOUT_S = 2.0


def hand_over(text: str) -> str:
    """Gives a text to tmux, or else to the clipboard of this machine; returns who took it, empty where nobody did."""
    if os.environ.get("TMUX"):
        return "tmux" if _load_buffer(text) else ""
    if os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_TTY"):
        return ""  # the clipboard of this machine is not where the person sits
    return "system" if _system(text) else ""


def _load_buffer(text: str) -> bool:
    # `-w` also hands it to the outer terminal, which tmux may do where its programs may not; old versions lack it.
    return _run(["tmux", "load-buffer", "-w", "-"], text) or _run(["tmux", "load-buffer", "-"], text)


def _run(command: list[str], text: str) -> bool:
    try:
        done = subprocess.run(
            command, input=text.encode(errors="replace"), timeout=_TIMEOUT_S, capture_output=True, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _system(text: str) -> bool:
    import pyperclip

    try:
        pyperclip.copy(text)
    except (pyperclip.PyperclipException, OSError, subprocess.SubprocessError):
        return False
    return True


_TERMINAL_LIMIT = 70_000
"""Characters that terminals take through OSC 52; more goes to a file as well."""


async def say_who_took(text: str, what: str, announce: Callable[[str], None]) -> None:
    """Gives a text that was sent to the terminal's clipboard to those that answer; says who took it, named `what`."""
    taken_by = await asyncio.to_thread(hand_over, text)
    n_chars = f"{what}, {len(text):,} character{'' if len(text) == 1 else 's'}"
    if taken_by == "system":
        announce(f"Copied to the system's clipboard: {n_chars}.")
        return
    where = "tmux's buffer and offered to the terminal" if taken_by else "the terminal's clipboard (OSC 52)"
    words = f"{'Copied' if taken_by else 'Sent'} to {where}: {n_chars}."
    if not taken_by:
        words += " Some terminals do not allow it."
    if len(text) > _TERMINAL_LIMIT:
        words += f" Terminals may cut that; {_written(text)}."
    announce(words)


def _written(text: str) -> str:
    try:
        path = copied_file()
        ensure_dir(path.parent)
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        return f"no file could be written either: {error.strerror}"
    return f"it is in {path} too"
