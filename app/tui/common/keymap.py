"""Which commands are on offer and which key runs each: the defaults of the table, overridden by the user's `[keys]`.

Pure. A key is usable when every terminal can send it and typing does not need it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from app.domain.text import one_line
from app.tui.common.commands import COMMANDS, Command, Need

_MODIFIERS = frozenset({"ctrl", "alt", "shift", "super"})
_ALONE = frozenset(
    {"escape", "pageup", "pagedown", "home", "end", "insert", "delete"} | {f"f{n}" for n in range(1, 25)}
)
_WITH_MODIFIER = _ALONE | frozenset({"up", "down", "left", "right", "enter", "space", "backspace", "tab"})
_SAME_BYTE = {
    "ctrl+m": "Enter",
    "ctrl+j": "a new line",
    "ctrl+i": "Tab",
    "ctrl+h": "Backspace",
    "shift+tab": "going back a field",
}
_NAMES = {"escape": "Esc", "pageup": "PgUp", "pagedown": "PgDn", "delete": "Del", "insert": "Ins"}


@dataclass(frozen=True)
class Keymap:
    """The commands on offer, their keys, and what was wrong with the user's."""

    all_keys: Mapping[str, tuple[str, ...]]
    """Keys of every command by its id, in Textual's spelling; an empty tuple for a command of the palette only."""
    met: Callable[[], Collection[Need]]
    """The needs that are met now: another model may run on an engine that can do less."""
    notices: tuple[str, ...] = ()

    @property
    def commands(self) -> tuple[Command, ...]:
        """The commands on offer now, in the order of the table."""
        met = self.met()
        return tuple(command for command in COMMANDS if command.needs is None or command.needs in met)

    @property
    def keys(self) -> Mapping[str, tuple[str, ...]]:
        """The keys of the commands on offer now."""
        return {command.id: self.all_keys[command.id] for command in self.commands}

    def offers(self, command_id: str) -> bool:
        """Returns whether the command is on offer."""
        return command_id in self.keys

    def action(self, command_id: str) -> str:
        """Returns the Textual action that runs the command; empty when it is not on offer."""
        return next((command.action for command in self.commands if command.id == command_id), "")

    def of_letter(self, letter: str) -> Command | None:
        """Returns the command that has this letter."""
        return next((command for command in self.commands if command.letter == letter), None)

    def label(self, command_id: str) -> str:
        """Returns the command's first key for reading, as in `Ctrl+R`; empty when it has none."""
        keys = self.keys.get(command_id, ())
        return key_label(keys[0]) if keys else ""

    def short(self, command_id: str) -> str:
        """Returns the command's first key for the key bar, as in `^R`; empty when it has none."""
        return self.label(command_id).replace("Ctrl+", "^")


def key_label(key: str) -> str:
    """Returns a key's name for reading: `ctrl+pageup` is `Ctrl+PgUp`."""
    return "+".join(_NAMES.get(part, part.capitalize()) for part in key.split("+"))


def why_unusable(key: str) -> str:
    """Returns why a command cannot sit on `key`; empty when it can."""
    if key in _SAME_BYTE:
        return f"terminals send it for {_SAME_BYTE[key]}"
    *modifiers, base = key.split("+")
    if unknown := [part for part in modifiers if part not in _MODIFIERS]:
        return f"there is no modifier {unknown[0]!r}"
    strong = any(part != "shift" for part in modifiers)
    if base in _ALONE or (modifiers and base in _WITH_MODIFIER):
        return ""
    if len(base) == 1 and base.isascii() and base.isalnum():
        return "" if strong else "typing needs it"
    return "typing needs it" if base in _WITH_MODIFIER or len(base) == 1 else "there is no such key"


def resolve(overrides: Mapping[str, str], met: Callable[[], Collection[Need]] = lambda: Need) -> Keymap:
    """Lays `overrides` (command id to keys, separated by commas) over the defaults; `met` says what is on offer.

    A key that the user gives to one command is taken from the command that had it by default.
    """
    defaults = {command.id: _split(command.keys) for command in COMMANDS}
    notices: list[str] = []
    chosen: dict[str, tuple[str, ...]] = {}
    owner: dict[str, str] = {}
    for command_id, wanted in overrides.items():
        if command_id not in defaults:
            notices.append(_unknown(command_id, defaults))
            continue
        usable: list[str] = []
        for key in _split(wanted):
            if reason := why_unusable(key):
                notices.append(f"[keys] {command_id}: {one_line(key, 40)!r} cannot be used: {reason}")
            elif key in owner:
                notices.append(f"[keys] {command_id}: {key!r} already runs {owner[key]!r}")
            else:
                owner[key] = command_id
                usable.append(key)
        if usable:
            chosen[command_id] = tuple(usable)
    keys = {
        command_id: chosen.get(command_id, tuple(key for key in default if key not in owner))
        for command_id, default in defaults.items()
    }
    return Keymap(keys, met, tuple(notices))


def _split(keys: str) -> tuple[str, ...]:
    return tuple(key for key in (part.strip().lower() for part in keys.split(",")) if key)


def _unknown(command_id: str, known: Iterable[str]) -> str:
    near = get_close_matches(command_id, list(known), n=1)
    suggestion = f"; did you mean {near[0]!r}?" if near else ""
    return f"[keys] there is no command {one_line(command_id, 40)!r}{suggestion}"
