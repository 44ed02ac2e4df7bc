"""A grammar's state: which tokens may come, what it takes, and how it ends."""

from __future__ import annotations

import pytest

from app.engine.core.backend import SamplingError
from tests.fakes.byte_vocab import (
    BRACE_QUOTE,
    EMPTY,
    EOG,
    HELLO,
    OTHER_EOG,
    THINK,
    UNUSED,
    accepts,
    allowed,
    matcher,
    notices,
)

ABC = {"enum": ["a", "b", "c"]}


def test_every_end_of_generation_token_may_come_where_the_text_is_complete_and_nowhere_else() -> None:
    state = matcher(regex="[0-9]{1,2}")
    assert allowed(state) == set(b"0123456789")
    state.accept(ord("4"))
    assert allowed(state) == {*b"0123456789", EOG, OTHER_EOG}
    state.accept(ord("2"))
    assert allowed(state) == {EOG, OTHER_EOG}
    assert state.accept(OTHER_EOG)
    assert state.complete


def test_tokens_that_are_no_text_never_stand_in_a_text() -> None:
    state = matcher(json_schema={"type": "string"})
    state.accept(ord('"'))
    assert HELLO in allowed(state)
    assert not allowed(state) & {EOG, OTHER_EOG, THINK, UNUSED, EMPTY}


def test_a_character_may_come_byte_by_byte() -> None:
    state = matcher(regex="é!")
    assert allowed(state) == {0xC3}
    assert state.accept(0xC3)
    assert allowed(state) == {0xA9}
    assert not state.complete
    assert [state.accept(byte) for byte in (0xA9, ord("!"))] == [True, True]
    assert state.complete


def test_bytes_that_are_no_text_are_refused_inside_a_string() -> None:
    assert not accepts(matcher(json_schema={"type": "string"}), b'"\xff"')
    assert not accepts(matcher(json_schema={"type": "string"}), b'"\xc3"')


def test_what_is_refused_changes_nothing() -> None:
    state = matcher(json_schema=ABC)
    state.accept(ord('"'))
    before = allowed(state)
    assert not state.accept(ord("z"))
    assert not state.accept(EOG)
    assert allowed(state) == before
    assert state.accept(ord("b"))


def test_a_draft_fits_up_to_its_first_wrong_token_and_is_not_taken() -> None:
    state = matcher(json_schema={"type": "object", "properties": {"hello": {"type": "null"}}, "required": ["hello"]})
    assert state.n_fitting([BRACE_QUOTE, HELLO, ord('"'), ord("x")]) == 3
    assert state.n_fitting([ord("x")]) == 0
    assert BRACE_QUOTE in allowed(state)


def test_a_copy_goes_its_own_way() -> None:
    state = matcher(json_schema=ABC)
    state.accept(ord('"'))
    other = state.copy()
    assert other.accept(ord("a"))
    assert [other.accept(ord('"')), other.complete, state.complete] == [True, True, False]
    assert state.accept(ord("c"))


def test_between_the_tokens_of_json_stands_at_most_a_blank_after_a_comma_or_a_colon() -> None:
    start = matcher(json_schema={"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "array"}}})
    for text in ('{"a":1,"b":[1,2]}', '{"a": 1, "b": [1, 2]}', '{"a": 1,"b":[1, 2]}'):
        assert accepts(start, text)
    for text in (
        '{"a":  1}',
        '{ "a":1}',
        '{"a" :1}',
        '{"a":1 }',
        '{"a":1 , "b":[]}',
        '{"a":\n1}',
        ' {"a":1}',
        '{"a":1} ',
    ):
        assert not accepts(start, text)


def test_two_forms_exclude_each_other() -> None:
    with pytest.raises(SamplingError, match="json_schema and regex exclude each other"):
        matcher(json_schema={}, regex="a")


def test_the_set_for_thinking_is_compiled_too() -> None:
    with pytest.raises(SamplingError, match="the regular expression is wrong at character 1: this group is not closed"):
        notices(thinking={"regex": "(a"})
