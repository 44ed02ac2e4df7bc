"""Chips in a line of text, and the walk through earlier prompts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.tui.widgets.chips import MAX_CHARS, Chips, chip_at, normalise, show
from app.tui.widgets.history_walk import HistoryWalk

LINE = "ab\ufdd0X\ufdd1cd\ufdd0Y\ufdd1"


@pytest.mark.parametrize(
    ("columns", "widened"),
    [
        ((0, 2), (0, 2)),
        ((2, 2), (2, 2)),
        ((3, 3), (5, 5)),
        ((5, 5), (5, 5)),
        ((4, 5), (2, 5)),
        ((1, 3), (1, 5)),
        ((3, 8), (2, 10)),
        ((5, 7), (5, 7)),
        ((6, 9), (6, 10)),
    ],
)
def test_an_edit_never_cuts_a_chip(columns, widened):
    assert chip_at(LINE, *columns) == widened


def test_a_torn_chip_is_drawn_and_sent_as_it_looks():
    chips = Chips()
    chip = chips.admit("x" * (MAX_CHARS + 1))
    assert show(chip) == "[Pasted #1: 1 line, 4001 chars]"
    assert chips.expand("a" + chip[:-1]) == "a[Pasted #1: 1 line, 4001 chars"


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=20)))
def test_every_text_comes_back_exactly(texts):
    chips = Chips()
    assert chips.expand("".join(chips.admit(text, max_lines=2) for text in texts)) == "".join(texts)


@given(st.text(st.sampled_from("\r\nab")))
def test_line_ends_are_newlines(text):
    assert normalise(text).split("\n") == text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert "\r" not in normalise(text)


@pytest.fixture
def walk():
    walk = HistoryWalk(lambda entry: entry.upper())
    walk.replace(["a", "b"])
    return walk


def test_the_walk_ends_at_both_ends(walk):
    assert [walk.step(-1, "d"), walk.step(-1, "B"), walk.step(-1, "A")] == ["B", "A", None]
    assert [walk.step(1, "A"), walk.step(1, "B"), walk.step(1, "d")] == ["B", "d", None]


def test_edits_are_there_on_the_way_back(walk):
    walk.step(-1, "d")
    walk.step(-1, "B!")
    assert walk.step(1, "A") == "B!"
    assert walk.unsent("B!") == "d\nB!"


def test_an_entry_that_was_not_edited_is_not_unsent(walk):
    walk.step(-1, "d")
    assert (walk.draft, walk.unsent("B")) == ("d", "d")
    assert walk.unsent("Bx") == "d\nBx"


def test_new_entries_leave_the_draft(walk):
    walk.step(-1, "d")
    walk.replace(["a", "b", "c"])
    assert walk.draft == "d"
    assert walk.step(1, "B") == "C"
    assert walk.step(1, "C") == "d"


def test_fewer_entries_end_the_walk_where_there_is_no_place(walk):
    walk.step(-1, "d")
    walk.replace([])
    assert walk.at_draft


def test_a_repeated_entry_is_kept_once(walk):
    walk.add("b")
    walk.add("c")
    assert [walk.step(-1, ""), walk.step(-1, "C"), walk.step(-1, "B")] == ["C", "B", "A"]
