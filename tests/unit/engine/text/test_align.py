"""Pieces that are not the text are found in it; what has no place has no bytes, and no byte is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.text.align import piece_sizes


@pytest.mark.parametrize(
    ("text", "pieces", "expected"),
    [
        ("a b", ["a", " b"], ["a", " b"]),
        ("a b", [" a", " b"], ["a", " b"]),
        ("Hello, World", [" hello", " ,", " world"], ["Hello", ",", " World"]),
        ("Café au  lait", [" cafe", " au", " lait"], ["Café", " au", "  lait"]),
        ("Cafe\u0301!", [" cafe", " !"], ["Cafe\u0301", "!"]),
        ("unknown", [" un", "known"], ["un", "known"]),
        ("a 😀 b", [" a", "[UNK]", " b"], ["a", " 😀", " b"]),
        ("a 😀☃ b", [" a", "[UNK]", "[UNK]", " b"], ["a", " 😀☃", "", " b"]),
        ("😀", ["[UNK]"], ["😀"]),
        ("  a  ", [" a"], ["  a  "]),
        ("한국", [" \u1112", "\u1161", "\u11ab", "\u1100", "\u116e", "\u11a8"], ["한", "", "", "국", "", ""]),
        ("ﬁn ½", [" fin", " 1\u20442"], ["ﬁn", " ½"]),
        ("a\tb\n", ["a", " b"], ["a", "\tb\n"]),
        ("\u00ad\u200ba", ["a"], ["\u00ad\u200ba"]),
    ],
)
def test_the_text_of_each_piece(text: str, pieces: list[str], expected: list[str]) -> None:
    found, at = [], 0
    data = text.encode()
    for n in piece_sizes(data, [piece.encode() for piece in pieces]):
        found.append(data[at : at + n].decode())
        at += n
    assert (found, at) == (expected, len(data))


def test_pieces_that_are_parts_of_a_character() -> None:
    euro = "€".encode()
    assert piece_sizes(b"A " + euro, [b" a", b" ", euro[:1], euro[1:]]) == [1, 1, 1, 2]


def test_no_pieces_stand_for_nothing() -> None:
    assert piece_sizes(b"  ", []) == []


@given(st.text(max_size=30), st.lists(st.text(max_size=6), min_size=1, max_size=10))
def test_no_byte_is_lost_and_none_counted_twice(text: str, pieces: list[str]) -> None:
    data = text.encode(errors="replace")
    found = piece_sizes(data, [piece.encode(errors="replace") for piece in pieces])
    assert len(found) == len(pieces)
    assert min(found) >= 0
    assert sum(found) == len(data)
