import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.text import one_line, quoted, safe_json, safe_text

ANY = st.text(st.characters(exclude_categories=()))
KEPT = {"\n", "\t"}


def is_hostile(char: str) -> bool:
    """Control, format that reorders or hides, line separators, surrogates."""
    code = ord(char)
    if char in KEPT:
        return False
    bidi = code in {0x061C, 0x200E, 0x200F} or 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069
    hidden = code in {0x2028, 0x2029} or 0xE0000 <= code <= 0xE007F
    return unicodedata.category(char) in {"Cc", "Cs"} or bidi or hidden


@settings(deadline=None)
@given(ANY)
def test_nothing_hostile_is_left_and_the_text_can_be_written(text: str) -> None:
    safe = safe_text(text)
    assert not any(map(is_hostile, safe))
    safe.encode()


@settings(deadline=None)
@given(ANY)
def test_nothing_is_dropped_and_harmless_text_stays(text: str) -> None:
    assert len(safe_text(text)) >= len(text)
    harmless = "".join(char for char in text if not is_hostile(char))
    assert safe_text(harmless) == harmless


@settings(deadline=None)
@given(ANY)
def test_twice_is_once(text: str) -> None:
    assert safe_text(safe_text(text)) == safe_text(text)


@settings(deadline=None)
@given(ANY, ANY)
def test_pieces_can_be_cleaned_one_by_one(left: str, right: str) -> None:
    assert safe_text(left) + safe_text(right) == safe_text(left + right)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]52;c;aGk=\x07", "␛]52;c;aGk=␇"),
        ("a\r\nb\tc", "a␍\nb\tc"),
        ("\x9b31m\x7f", "⟨U+009B⟩31m␡"),
        ("abc\u202etxt.exe", "abc⟨U+202E⟩txt.exe"),
        ("\ud800", "\ufffd"),
        ("👩\u200d👩 é e\u0301 [red]", "👩\u200d👩 é e\u0301 [red]"),
    ],
)
def test_examples(text: str, shown: str) -> None:
    assert safe_text(text) == shown


@settings(deadline=None)
@given(ANY, st.integers(2, 50))
def test_one_line_is_one_line_and_short(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert "\n" not in line
    assert "\t" not in line
    assert not any(map(is_hostile, line))


def test_one_line_joins_and_cuts() -> None:
    assert one_line("  a\n\n b\tc ") == "a b c"
    assert one_line("abcdef", 4) == "abc…"


def test_a_tokens_text_is_quoted_safe_and_with_its_blanks() -> None:
    assert quoted("\n\x1b[2J\t") == '"↵␛[2J⇥"'
    assert quoted(" ") == '" "'
    assert quoted("x" * 24) == f'"{"x" * 24}"'
    assert quoted("x" * 99) == f'"{"x" * 23}…"'
    assert quoted("x" * 99, 16) == f'"{"x" * 15}…"'


@settings(deadline=None)
@given(ANY)
def test_json_for_a_terminal_means_the_same_and_holds_nothing_hostile(text: str) -> None:
    document = safe_json(json.dumps({text: [text]}, ensure_ascii=False))
    assert json.loads(document) == {text: [text]}
    assert not any(map(is_hostile, document))


def test_json_is_escaped_as_json_writes_it() -> None:
    assert safe_json('"\x7f\x9b\u202e\U000e0041é"') == '"\\u007f\\u009b\\u202e\\udb40\\udc41é"'
