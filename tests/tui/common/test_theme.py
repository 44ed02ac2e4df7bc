"""Which theme the chat starts with."""

from __future__ import annotations

import pytest

from app.tui.common.theme import ThemeSituation, pick_theme
from app.tui.terminal.background import parse_reply

ALL = ["graphite", "paper", "terminal", "ember"]


def situation(*, no_color: bool = False, few_colors: bool = False, dark: bool | None = True) -> ThemeSituation:
    return ThemeSituation(no_color=no_color, few_colors=few_colors, dark_background=dark)


@pytest.mark.parametrize(
    ("wanted", "explicit", "seen", "expected"),
    [
        ("auto", False, situation(), "graphite"),
        ("auto", False, situation(dark=False), "paper"),
        ("auto", False, situation(dark=None), "graphite"),
        ("ember", False, situation(dark=False), "ember"),
        ("nonsense", False, situation(), "graphite"),
        ("ember", False, situation(few_colors=True), "terminal"),
        ("ember", True, situation(few_colors=True), "ember"),
        ("ember", True, situation(no_color=True), "terminal"),
    ],
)
def test_choice(wanted: str, explicit: bool, seen: ThemeSituation, expected: str) -> None:
    assert pick_theme(wanted, explicit, ALL, seen) == expected


@pytest.mark.parametrize(
    ("reply", "colorfgbg", "dark"),
    [
        (b"\x1b]11;rgb:0000/0000/0000\x1b\\\x1b[?62;c", "", True),
        (b"\x1b]11;rgb:ffff/ffff/ffff\x07\x1b[?62;c", "", False),
        (b"\x1b]11;rgb:fd/f6/e3\x1b\\", "", False),
        (b"\x1b]11;rgba:1e1e/1e1e/2e2e/ffff\x1b\\", "", True),
        (b"\x1b[?62;c", "15;0", True),
        (b"\x1b[?62;c", "0;default;15", False),
        (b"\x1b[?62;c", "", None),
        (b"", "0;default", None),
    ],
)
def test_what_the_terminal_says_of_its_background(reply: bytes, colorfgbg: str, dark: bool | None) -> None:
    assert parse_reply(reply, colorfgbg) is dark
