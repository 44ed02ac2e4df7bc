"""What outlives a session without being configuration: the last model, preset and panels, and unsent text."""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from app.config.paths import ensure_dir
from app.config.presets import find_preset
from app.config.settings import LoadedSettings, load_presets
from app.domain.files import read_regular, replace_private
from app.domain.sampling import Preset
from app.domain.text import one_line


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


class StoredChoice(Struct, frozen=True):
    """What the user chose, and the configured value that it was chosen over."""

    value: str
    over: str


class _State(Struct, omit_defaults=True):
    choices: dict[str, StoredChoice] = {}


class Preferences:
    """Remembered choices by name. `path` None keeps them for this session only."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._state = _State()
        self._drafts = Drafts(path.parent / "drafts") if path is not None else None
        if path is not None:
            with suppress(OSError, msgspec.MsgspecError):
                self._state = msgspec.json.decode(read_regular(path), type=_State)

    def recall(self, name: str, configured: str) -> str:
        """Returns the remembered choice, or `configured` when there is none or the configuration has changed."""
        choice = self._state.choices.get(name)
        return choice.value if choice is not None and choice.over == configured else configured

    def remember(self, name: str, value: str, configured: str) -> None:
        """Keeps a choice; on disk too, atomically, if that can be written."""
        self._state.choices[name] = StoredChoice(value, configured)
        self._write()

    def keep_draft(self, text: str) -> None:
        """Keeps what is written and not sent so far, in case this process is killed; from any thread."""
        if self._drafts is not None:
            self._drafts.keep(text)

    def keep_unsent(self, text: str) -> None:
        """Keeps what was written and never sent for the next session: the last word of this one."""
        if self._drafts is not None:
            self._drafts.keep(text, last=True)

    def take_unsent(self) -> str:
        """Returns what sessions that have ended kept, once; never what a running one keeps."""
        return self._drafts.take() if self._drafts is not None else ""

    def _write(self) -> None:
        if self._path is None:
            return
        with suppress(OSError):
            ensure_dir(self._path.parent)
            replace_private(self._path, msgspec.json.encode(self._state))


_MODEL, _PRESET = "model", "preset"


def remember_model(memory: Preferences, reference: str) -> None:
    """Keeps the model that was chosen last, as `-m` takes it."""
    memory.remember(_MODEL, reference, "")


def remember_preset(memory: Preferences, name: str) -> None:
    """Keeps the preset that was chosen last."""
    memory.remember(_PRESET, name, "")


def recall_model(memory: Preferences) -> str:
    """The model that was chosen last; empty where none was."""
    return memory.recall(_MODEL, "")


def first_preset(asked: str | None, loaded: LoadedSettings, memory: Preferences) -> tuple[Preset, tuple[str, ...]]:
    """The preset that was asked for, the configured one, the last that was chosen, or the default; and notices.

    Raises ConfigError where there is none of the name that was asked for.
    """
    presets, configured = load_presets(loaded.settings), loaded.settings.preset
    if asked or "preset" in loaded.given:
        return find_preset(asked or configured, presets), ()
    last = memory.recall(_PRESET, "")
    if last in presets:
        return presets[last], ()
    gone = f"The preset “{one_line(last, 40)}” that was used last is not there any more: “{configured}” is used."
    return presets[configured], (gone,) if last else ()
