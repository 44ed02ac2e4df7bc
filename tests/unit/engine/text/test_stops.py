from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.text.detokenizer import StopScanner


def scan(stops: list[str], parts: list[str]) -> tuple[str, str | None]:
    scanner = StopScanner(stops)
    shown = ""
    for part in parts:
        text, stop = scanner.push(part)
        shown += text
        if stop is not None:
            return shown, stop
    return shown + scanner.flush(), None


def test_text_that_may_become_a_stop_is_held_back_and_then_shown():
    scanner = StopScanner(["END", "</s>"])
    assert scanner.push("a E") == ("a ", None)
    assert scanner.push("N") == ("", None)
    assert scanner.push("x <") == ("ENx ", None)
    assert scanner.flush() == "<"
    assert scanner.flush() == ""


def test_a_stop_over_several_pushes_ends_the_text_before_it():
    scanner = StopScanner(["END"])
    assert scanner.push("one E") == ("one ", None)
    assert scanner.push("N") == ("", None)
    assert scanner.push("D two") == ("", "END")
    assert scanner.flush() == ""


@pytest.mark.parametrize(
    ("stops", "text", "expected"),
    [
        (["b", "c"], "abc", ("a", "b")),
        (["bc", "abc"], "xabc", ("x", "abc")),
        (["ab", "abc"], "abc", ("", "ab")),
        (["abcd", "bc"], "abcd", ("a", "bc")),
        (["", "z"], "abz", ("ab", "z")),
        ([""], "ab", ("ab", None)),
        ([], "ab", ("ab", None)),
        (["aab"], "aaab", ("a", "aab")),
    ],
)
def test_which_stop_wins(stops: list[str], text: str, expected: tuple[str, str | None]):
    assert scan(stops, [text]) == expected
    assert scan(stops, list(text)) == expected


@given(
    st.lists(st.text("abc", max_size=4), max_size=4),
    st.text("abc", max_size=20),
    st.lists(st.integers(0, 20), max_size=6),
)
def test_cuts_make_no_difference(stops: list[str], text: str, cuts: list[int]):
    edges = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    parts = [text[a:b] for a, b in itertools.pairwise(edges)]
    shown, stop = scan(stops, parts)
    ends = [(text.find(s) + len(s), text.find(s), s) for s in stops if s and s in text]
    assert (shown, stop) == ((text[: min(ends)[1]], min(ends)[2]) if ends else (text, None))
