"""Ways to a clipboard, and which of them took a text. Slow programs are waited for; call it in a thread.

The terminal's own way (OSC 52) has no answer, so nothing is claimed of it; tmux and the system's clipboard have one.
"""

from __future__ import annotations

import os
import subprocess

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
