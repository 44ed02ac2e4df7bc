"""Opens the user's editor."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from app.domain.errors import TokscopeError, UsageError


def open_editor(file: Path) -> None:
    """Runs $VISUAL, $EDITOR, or the first common editor there is, and waits. Raises TokscopeError when it fails."""
    wanted = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    command = shlex.split(wanted) if wanted else _common_editor()
    if not command:
        raise UsageError("no editor found", hint=f"set EDITOR, or open {file} yourself")
    try:
        status = subprocess.run([*command, str(file)], check=False).returncode
    except OSError as error:
        raise TokscopeError(
            f"cannot run {command[0]}: {error.strerror}", hint="set EDITOR to another editor"
        ) from error
    if status:
        raise TokscopeError(f"{command[0]} ended with status {status}")


def _common_editor() -> list[str]:
    return [name for name in ("nano", "vim", "vi", "notepad") if shutil.which(name)][:1]
