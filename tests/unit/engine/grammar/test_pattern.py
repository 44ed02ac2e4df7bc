"""Regular expressions mean what ECMA-262 says; what an automaton cannot decide is refused with its place."""

from __future__ import annotations

import pytest

from app.engine.core.backend import SamplingError
from app.engine.grammar.pattern import PatternError, literal, searched
from tests.fakes.byte_vocab import accepts, matcher


@pytest.mark.parametrize(
    ("pattern", "found", "missed"),
    [
        ("^A|B$", ["A", "Ax", "xB", "B"], ["xA", "Bx", ""]),
        ("(^a|b)c", ["ac", "acx", "xbc"], ["xac", "c"]),
        ("a$|b", ["xa", "b!"], ["ax"]),
        ("^[^a]+$", ["b", "b\n", "éé", "\\"], ["", "a", "ba"]),
        (r"^\d{3}-\d{4}$", ["123-4567"], ["123-45678", "x123-4567", "١٢٣-4567"]),
        (r"^\w+\.txt$", ["a_1.txt"], ["a.txtx", ".txt", "é.txt", "a-b.txt"]),
        (r"^\s\S$", ["\ufeffx", "\u00a0x", "\tx"], ["xx", "x\ufeff"]),
        ("^.$", ["x", "😀"], ["\n", "\u2028", "xx"]),
        (r"^[\w-]+$", ["a-b"], ["a b"]),
        (r"^\u{1F600}\ud83d\ude00\x41\u0042\t$", ["😀😀AB\t"], ["😀AB\t"]),
        (r"^\cA$", ["\x01"], ["A"]),
        ("a{,3}", ["a{,3}"], ["aaa"]),
        ("^$", [""], ["x"]),
        ("", ["", "anything"], []),
        ("a+?b*?", ["a"], ["b"]),
        ("^(?i:yes)$", ["YES", "yEs"], ["no"]),
        ("^(?<word>a|b)+$", ["abba"], ["c"]),
        (r"^\p{Letter}+$", ["aé漢"], ["1"]),
        (r"^[^\s\d]$", ["x"], ["1", " "]),
        (r"^[\]/\\-]$", ["]", "/", "\\", "-"], ["x"]),
        ("^[^]$", ["x", "\n"], [""]),
        ("^(?:a|(?:b$))", ["ax", "b"], ["bx"]),
    ],
)
def test_a_pattern_is_searched_for(pattern: str, found: list[str], missed: list[str]) -> None:
    start = matcher(json_schema={"type": "string", "pattern": pattern})
    assert [text for text in found if not accepts(start, _quoted(text))] == []
    assert [text for text in missed if accepts(start, _quoted(text))] == []


def _quoted(text: str) -> str:
    escapes = {"\n": "\\n", "\t": "\\t", "\x01": "\\u0001", "\\": "\\\\", '"': '\\"'}
    return '"' + "".join(escapes.get(c, c) for c in text) + '"'


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(?=a)b", "at character 1: look-around and inline flags are not supported"),
        (r"x\bfoo", "at character 2: word boundaries are not supported"),
        (r"(a)\1", "at character 4: back references are not supported"),
        ("a^b", "at character 2: `^` must stand at the beginning"),
        ("(a", "at character 1: this group is not closed"),
        ("[a", "at character 1: this class is not closed"),
        ("a)", "at character 2: `)` closes no group"),
        ("*a", "at character 1: nothing to repeat"),
        ("a{2,1}", "at character 2: the minimum of 2 exceeds the maximum of 1"),
        ("a{1,200000}", "at character 2: repeated more than 100,000 times"),
        ("a\\", "at character 2: nothing follows the backslash"),
        (r"\a", r"at character 1: unknown escape `\a`"),
        ("[b-a]", "at character 2: this range is in reverse order"),
        ("(^a)*", "at character 5: an anchor cannot be repeated"),
        ("(" * 200, "at character 101: groups are nested deeper than 100"),
        (r"\ud800", "at character 1: not a character"),
    ],
)
def test_what_cannot_be_matched_is_refused_with_its_place(pattern: str, message: str) -> None:
    with pytest.raises(PatternError) as error:
        searched(pattern)
    assert str(error.value) == f" {message}"


def test_a_regular_expression_is_the_whole_answer_with_anchors_or_without() -> None:
    for pattern in (r"\d{3}", r"^\d{3}$"):
        start = matcher(regex=pattern)
        assert accepts(start, "123")
        assert not accepts(start, "1234")
    with pytest.raises(SamplingError, match="the regular expression is wrong at character 1: this group is not closed"):
        matcher(regex="(a")


def test_a_literal_means_itself() -> None:
    text = 'a.*[b]\\"/\n😀'
    assert accepts(matcher(regex=literal(text).replace("\\x{", "\\u{")), text)
