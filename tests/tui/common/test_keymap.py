"""Which key runs which command."""

from __future__ import annotations

import pytest

from app.tui.common.commands import COMMANDS
from app.tui.common.keymap import key_label, resolve, why_unusable

EDITING = {"ctrl+a", "ctrl+e", "ctrl+k", "ctrl+u", "ctrl+w", "ctrl+d", "ctrl+z", "ctrl+y", "ctrl+x", "ctrl+v"}


def test_defaults_are_unique_usable_and_leave_line_editing_alone() -> None:
    keymap = resolve({})
    keys = [key for bound in keymap.keys.values() for key in bound]
    assert keymap.notices == ()
    assert len(keys) == len(set(keys))
    assert [key for key in keys if why_unusable(key)] == []
    assert not set(keys) & EDITING


def test_ids_and_titles_are_unique() -> None:
    assert len({command.id for command in COMMANDS}) == len(COMMANDS)
    assert len({command.title for command in COMMANDS}) == len(COMMANDS)


def test_a_users_key_replaces_the_default() -> None:
    keymap = resolve({"stop": "ctrl+x"})
    assert keymap.keys["stop"] == ("ctrl+x",)
    assert keymap.label("stop") == "Ctrl+X"
    assert keymap.short("stop") == "^X"


def test_several_keys() -> None:
    assert resolve({"new": "ctrl+n, F5"}).keys["new"] == ("ctrl+n", "f5")


def test_a_key_taken_from_another_command_leaves_it_without() -> None:
    keymap = resolve({"new": "ctrl+r"})
    assert keymap.keys["new"] == ("ctrl+r",)
    assert keymap.keys["regenerate"] == ()
    assert keymap.label("regenerate") == ""
    assert keymap.notices == ()


def test_an_unknown_command_names_the_nearest() -> None:
    keymap = resolve({"regenrate": "f5"})
    assert keymap.notices == ("[keys] there is no command 'regenrate'; did you mean 'regenerate'?",)
    assert keymap.keys == resolve({}).keys


def test_two_commands_on_one_key() -> None:
    keymap = resolve({"new": "f5", "stop": "f5"})
    assert keymap.keys["new"] == ("f5",)
    assert keymap.keys["stop"] == ("escape",)
    assert keymap.notices == ("[keys] stop: 'f5' already runs 'new'",)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("a", "typing needs it"),
        ("shift+a", "typing needs it"),
        ("enter", "typing needs it"),
        ("ctrl+m", "terminals send it for Enter"),
        ("ctrl+i", "terminals send it for Tab"),
        ("hyper+a", "there is no modifier 'hyper'"),
        ("ctrl+banana", "there is no such key"),
        ("f25", "there is no such key"),
    ],
)
def test_keys_that_cannot_be_used(key: str, reason: str) -> None:
    assert why_unusable(key) == reason
    keymap = resolve({"new": key})
    assert keymap.keys["new"] == ("ctrl+n",)
    assert keymap.notices == (f"[keys] new: {key!r} cannot be used: {reason}",)


@pytest.mark.parametrize("key", ["ctrl+x", "alt+1", "f12", "ctrl+shift+n", "shift+f3", "ctrl+up", "insert"])
def test_keys_that_can_be_used(key: str) -> None:
    assert why_unusable(key) == ""


@pytest.mark.parametrize(
    ("key", "label"), [("escape", "Esc"), ("ctrl+pageup", "Ctrl+PgUp"), ("f1", "F1"), ("alt+x", "Alt+X")]
)
def test_labels(key: str, label: str) -> None:
    assert key_label(key) == label
