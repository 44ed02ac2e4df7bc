"""How tokens are laid out as lines: breaks, line ends, wide characters, control tokens, bytes and rejected drafts."""

from __future__ import annotations

import random

import pytest
from rich.cells import cell_len

from app.tui.tokens.layout import Piece, TokenTextLayout


def laid(texts: list[str], width: int) -> TokenTextLayout:
    layout = TokenTextLayout(width)
    layout.add([Piece(text) for text in texts])
    return layout


def rows(layout: TokenTextLayout) -> list[str]:
    return ["".join(fragment.text for fragment in line) for line in layout.lines[: layout.height]]


@pytest.mark.parametrize(
    ("texts", "width", "expected"),
    [
        (["The", " sky", " is", " blue"], 80, ["The sky is blue"]),
        # A word goes down whole, and the blank at the break is not shown.
        (["The", " sky", " is", " blue"], 9, ["The sky", "is blue"]),
        (["a", " vap", "our", "s"], 7, ["a", "vapour", "s"]),
        (["one", " vap", "our"], 9, ["one", "vapour"]),
        # Line ends are seen, in a column of their own, and a blank line is a line.
        (["abcd", "\n", "\n", "e"], 5, ["abcd↵", "↵", "e"]),
        (["a.\n\n", "  b"], 20, ["a.↵", "↵", "  b"]),
        (["x\n", "\ty"], 20, ["x↵", "⇥   y"]),
        # Wide characters break anywhere; none is cut in half.
        (["天", "空", "は", "青い"], 6, ["天空", "は", "青い"]),
        (["天空は青い"], 6, ["天空", "は青", "い"]),
        # Longer than a line.
        (["abcdefghij"], 5, ["abcd", "efgh", "ij"]),
        # What has a name or is not text.
        (["<|im_end|>"], 20, ["<|im_end|>"]),
        (["<0xE2>", "<0x82>"], 20, ["<0xE2><0x82>"]),
        (["a", "", "b"], 20, ["a∅b"]),
        # Hostile and unseen.
        (["\x1b[31m", "\u202e", "\u200d"], 40, ["␛[31m⟨U+202E⟩⟨U+200D⟩"]),
        (["e", "\u0301"], 20, ["e◌\u0301"]),
        ([" ", " ", "x"], 20, ["  x"]),
        ([], 20, []),
    ],
)
def test_lines(texts: list[str], width: int, expected: list[str]) -> None:
    assert rows(laid(texts, width)) == expected


def test_a_token_is_found_where_it_begins() -> None:
    layout = laid(["The", " sky", " is\n", "blue", " and", " wide"], 9)
    assert rows(layout) == ["The sky", "is↵", "blue and", "wide"]
    assert [(layout.line_of(i), layout.column_of(i)) for i in range(6)] == [
        (0, 0),
        (0, 3),
        (1, 0),
        (2, 0),
        (2, 4),
        (3, 0),
    ]
    assert [layout.token_at(0, column) for column in (0, 2, 3, 6, 50)] == [0, 0, 1, 1, 1]
    assert layout.token_at(99, 0) == 5
    assert layout.token_at(-1, 0) == 0


def test_rejected_drafts_stand_before_what_came_in_their_place() -> None:
    layout = TokenTextLayout(30)
    layout.add([Piece("The"), Piece(" sky", (" cat", "\nsat")), Piece(".")])
    assert rows(layout) == ["The⟨ cat↵sat⟩ sky."]
    assert [fragment.ghost for fragment in layout.lines[0]] == [False, True, True, False, False]
    assert layout.column_of(1) == 13
    assert layout.token_at(0, 5) == 1


def test_adding_one_by_one_changes_only_the_last_lines_and_gives_the_same() -> None:
    rng = random.Random(7)
    choice = ["a", " b", " vapour", "\n", "s", "天", " long-ish", "<0xE2>", "\n\n  ", " ", "", "ghosted", "(", ").\n"]
    pieces = [Piece(rng.choice(choice), (" x", "y") if rng.random() < 0.1 else ()) for _ in range(400)]
    for width in (1, 2, 3, 7, 24, 80):
        whole, grown = TokenTextLayout(width), TokenTextLayout(width)
        whole.add(pieces)
        for piece in pieces:
            before = [list(line) for line in grown.lines]
            changed = grown.add([piece])
            assert changed >= len(before) - 1
            assert grown.lines[:changed] == before[:changed]
        assert grown.lines == whole.lines
        assert [grown.line_of(i) for i in range(400)] == [whole.line_of(i) for i in range(400)]
        assert all(whole.line_of(i) <= whole.line_of(i + 1) for i in range(399))
        shown = {fragment.token for line in whole.lines for fragment in line if not fragment.ghost}
        assert shown == set(range(400))
        if width > 3:
            assert all(sum(cell_len(f.text) for f in line) <= width for line in whole.lines)
