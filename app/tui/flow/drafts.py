"""Text that was not sent, kept while it is written, so that a kill that no handler sees loses a second of it at most.

Each running process has two files of its own in one folder: `NAME`, which it locks and the system unlocks when the
process dies, and `NAME.draft`, the text. Only the drafts of the dead are taken. Without a folder that can be written or
locks that work nothing is kept, and nothing fails. Knows nothing of widgets.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.config.paths import ensure_dir
from app.domain.files import read_regular, replace_private


class Drafts:
    """This process's draft, and those that dead ones left. May be called from any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own: Path | None = None
        self._lock_fd = -1
        self._kept = ""
        self._ended = False
        self._turn = threading.Lock()

    def keep(self, text: str, *, last: bool = False) -> None:
        """Keeps `text` in place of what was kept before; after the `last` one the next session may take it."""
        with self._turn, suppress(OSError):
            if not self._ended:
                self._ended = last
                try:
                    self._keep(text)
                finally:
                    if last:
                        self._leave()

    def take(self) -> str:
        """Returns the drafts of dead processes, the oldest first; from now on they are this one's."""
        with self._turn, suppress(OSError):
            if self._folder.is_dir() and not self._ended:
                self._own = self._own or self._join()
                with self._alone():
                    return self._take()
        return ""

    def _take(self) -> str:
        files = [path for path in self._folder.iterdir() if path.is_file() and not path.suffix]
        dead = [path for path in files if self._is_dead(path)]
        drafts = [draft for path in dead if (draft := path.with_suffix(".draft")).exists()]
        drafts.sort(key=lambda draft: draft.stat().st_mtime_ns)
        text = "\n".join(filter(None, (read_regular(draft).decode(errors="replace") for draft in drafts)))
        # Kept as one's own before it is taken from the dead: a kill in between must not lose it.
        self._keep(text)
        for path in dead:
            _remove(path)
        return text

    def _keep(self, text: str) -> None:
        if text == self._kept:
            return
        own = self._own = self._own or self._join()
        replace_private(own.with_suffix(".draft"), text.encode(errors="replace"))
        self._kept = text

    def _join(self) -> Path:
        ensure_dir(self._folder)
        own = self._folder / secrets.token_hex(8)
        with self._alone():
            self._lock_fd = os.open(own, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return own

    def _leave(self) -> None:
        if self._own is None:
            return
        if not self._kept:
            _remove(self._own)
        os.close(self._lock_fd)
        self._own = None

    @contextmanager
    def _alone(self) -> Generator[None]:
        # A file that was made and is not locked yet must not be taken for a dead process's.
        fd = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    @staticmethod
    def _is_dead(path: Path) -> bool:
        fd = os.open(path, os.O_RDWR)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        finally:
            os.close(fd)
        return True


def _remove(path: Path) -> None:
    # The lock's file last: what lies about without one would never be looked at again.
    for suffix in (".draft", ""):
        path.with_suffix(suffix).unlink(missing_ok=True)
