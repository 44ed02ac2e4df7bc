"""What the chat starts with where neither the command line nor the configuration says it: what was chosen last."""

from __future__ import annotations

from app.config.presets import find_preset
from app.config.settings import LoadedSettings, load_presets
from app.domain.sampling import Preset
from app.domain.text import one_line
from app.tui.flow.memory import Memory

_MODEL, _PRESET = "model", "preset"


def remember_model(memory: Memory, reference: str) -> None:
    """Keeps the model that was chosen last, as `-m` takes it."""
    memory.remember(_MODEL, reference, "")


def remember_preset(memory: Memory, name: str) -> None:
    """Keeps the preset that was chosen last."""
    memory.remember(_PRESET, name, "")


def recall_model(memory: Memory) -> str:
    """The model that was chosen last; empty where none was."""
    return memory.recall(_MODEL, "")


def first_preset(asked: str | None, loaded: LoadedSettings, memory: Memory) -> tuple[Preset, tuple[str, ...]]:
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
