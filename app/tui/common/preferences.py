"""What outlives a session without being configuration: the last model, preset and panels."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from app.config.paths import ensure_dir
from app.config.presets import find_preset
from app.config.settings import LoadedSettings, load_presets
from app.domain.files import read_regular, replace_private
from app.domain.sampling import Preset
from app.domain.text import one_line


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

    Raises ConfigError if the requested name is unknown.
    """
    presets, configured = load_presets(loaded.settings), loaded.settings.preset
    if asked or "preset" in loaded.given:
        return find_preset(asked or configured, presets), ()
    last = memory.recall(_PRESET, "")
    if last in presets:
        return presets[last], ()
    gone = f"The preset “{one_line(last, 40)}” that was used last no longer exists: “{configured}” is used."
    return presets[configured], (gone,) if last else ()
