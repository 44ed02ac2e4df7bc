"""What the panels write: numbers, bars, and which of them a height allows."""

import pytest
from rich.cells import cell_len

from app.analysis.meter import RunMeter
from app.domain import units
from app.tui.panels.sections import PanelText, fit, sections
from app.tui.widgets.line import bar, big, first_row, share, spark, spread, visible, wrap


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (units.tps(None), "–"),
        (units.tps(0.2), "0.2"),
        (units.tps(99.94), "99.9"),
        (units.tps(99.96), "100"),
        (units.tps(1141.2), "1141"),
        (units.tps(123_456), "123k"),
        (units.ms(None), "–"),
        (units.ms(0.876), "0.88 ms"),
        (units.ms(11.35), "11.3 ms"),
        (units.ms(1430.2), "1430 ms"),
        (units.ms(12_340), "12.3 s"),
        (units.count(99_999), "99999"),
        (units.count(131_072), "131k"),
        (units.percent(0), "0.0 %"),
        (units.percent(0.0001), "<0.1 %"),
        (units.percent(0.0785), "7.8 %"),
        (units.percent(0.9999), "99 %"),
        (units.percent(1.0), "100 %"),
        (units.size(45 << 20), "45 MiB"),
        (units.size(5 << 30), "5.0 GiB"),
        (units.size(1 << 20), "1.0 MiB"),
    ],
)
def test_numbers(written, expected):
    assert written == expected


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" a", "␣a    "),
        ("\n\t", "↵⇥    "),
        ("日本", "日本  "),
        ("日本語", "日本語"),
        ("日本語x", "日本 …"),
        ("\x1b[2J", "␛[2J  "),
        ("\u202e", "⟨U+20…"),
        ("", "      "),
        ("[/red]", "[/red]"),
    ],
)
def test_token_texts_are_safe_visible_and_exactly_as_wide(text, shown):
    assert visible(text, 6) == shown
    assert cell_len(visible(text, 6)) == 6


def test_bars():
    assert [bar(f, 4) for f in (0, 0.001, 0.25, 0.5 + 1 / 32, 1, 7)] == ["", "▏", "█", "██▏", "████", "████"]


def test_sparklines():
    assert spark([0, 50, 100], 8) == "▁▅█"
    assert spark([1.0, 100, 100, 100], 3) == "███"
    assert spark([], 8) == spark([0, 0], 8) == ""


def test_big_digits():
    assert big("1.7") == ("╺┓  ╺━┓", " ┃    ┃", "╺┻╸▪  ╹")


@pytest.mark.parametrize(
    ("counts", "cells"),
    [
        ([34, 778, 47, 128, 7205], [1, 3, 1, 1, 30]),
        ([1, 1, 1, 1, 1_000_000], [1, 1, 1, 1, 32]),
        ([0, 0, 0, 0, 10], [0, 0, 0, 0, 36]),
        ([10, 10, 0, 0, 0], [18, 18, 0, 0, 0]),
        ([0, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    ],
)
def test_shares(counts, cells):
    assert share(counts, 36) == cells


def test_spread_leaves_the_right_out_where_it_does_not_fit():
    left, right = (("abc", "text"),), (("de", "value"),)
    assert "".join(text for text, _ in spread(left, right, 8)) == "abc   de"
    assert spread(left, right, 5) == left


def test_wrap():
    assert wrap("failed: no room for it", 10, 2) == ["failed: no", "room for …"]
    assert wrap("a b", 10, 2) == ["a b"]
    assert wrap("", 10, 2) == [""]
    assert wrap("x" * 30, 10, 2) == ["x" * 9 + "…"]


def test_the_least_important_shrink_and_then_go():
    def panel(name, importance, *heights):
        return PanelText(name, importance, tuple(tuple(((f"{name}{h}", ""),) for _ in range(h)) for h in heights))

    panels = [panel("a", 3, 3, 1), panel("b", 1, 2, 1), panel("c", 2, 2)]

    def drawn(height):
        return [line[0][0] if line else "" for _, line in fit(panels, height)]

    assert drawn(9) == ["a3", "a3", "a3", "", "b2", "b2", "", "c2", "c2"]
    assert drawn(8) == ["a3", "a3", "a3", "b2", "b2", "c2", "c2"]
    assert drawn(6) == ["a3", "a3", "a3", "b1", "c2", "c2"]
    assert drawn(5) == ["a3", "a3", "a3", "c2", "c2"]
    assert drawn(4) == ["a3", "a3", "a3"]
    assert drawn(1) == ["a1"]
    assert drawn(0) == []


@pytest.mark.parametrize("width", [32, 36, 60])
def test_no_line_is_wider_than_the_column(width):
    for panel in sections(RunMeter(), None, width):
        for form in panel.forms:
            assert all(sum(cell_len(text) for text, _ in line) <= width for line in form), panel.name


@pytest.mark.parametrize(
    ("cursor", "n_rows", "n_shown", "first"), [(0, 9, 4, 0), (3, 9, 4, 1), (8, 9, 4, 5), (3, 3, 4, 0), (3, 5, 2, 2)]
)
def test_rows_follow_the_cursor(cursor: int, n_rows: int, n_shown: int, first: int) -> None:
    assert first_row(cursor, n_rows, n_shown) == first
