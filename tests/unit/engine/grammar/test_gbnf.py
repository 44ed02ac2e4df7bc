"""GBNF: read as llama.cpp reads it, followed exactly, its mistakes with line and column."""

# ruff: noqa: E501 -- one case a line

from __future__ import annotations

import pytest

from app.engine.core.backend import SamplingError
from tests.fakes.byte_vocab import BRACE_QUOTE, EOG, HELLO, THINK, accepts, allowed, matcher

JSON = r"""
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
# Optional space: by convention, applied in this grammar after literal chars when allowed
ws ::= | " " | "\n" [ \t]{0,20}
"""
ARITHMETIC = r"""
root  ::= (expr "=" ws term "\n")+
expr  ::= term ([-+*/] term)*
term  ::= ident | num | "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]* ws
num   ::= [0-9]+ ws
ws    ::= [ \t\n]*
"""


@pytest.mark.parametrize(
    ("grammar", "right", "wrong"),
    [
        ('root ::= "yes" | "no"', ["yes", "no"], ["ye", "yesno"]),
        ('root::="a"#c\n#d\n b::="c"\r\n', ["a"], ["ac"]),
        ('root ::= [^"\\\\\\x7F\\x00-\\x1F] "\\\\" ["bf]{2}', ['é\\b"'], ['"\\bb', "a\\b"]),
        ("root ::= (\n  a |\n b){0,2} c*\na ::= [-a-c\\]]\nb ::= (x?)*\nx ::= \"x\"\nc ::= [äöü]+", ["", "-]ä", "bxü"], ["--ad"]),
        ('root ::= "a"{2} "b"{0} "c"{1,} "d"{,2}'.replace("{,2}", "{0,2}"), ["aac", "aaccdd"], ["ac", "aa", "aacddd", "aabc"]),
        ("root ::= .", ["\n", "x"], ["", "xx"]),
        ("root ::= [\\u00e4\\U0001F600\\t]+", ["ä😀\t"], ["a"]),
        ("root ::= [a\\-z]+", ["a-z"], ["b"]),
        ('root ::= ""', [""], ["a"]),
        # One text in several ways: what is read first must not take from what follows.
        ('root ::= [a-z]+ "foo" "!"', ["xfoo!", "foofoo!", "foofoofoo!"], ["foo!", "x!"]),
        ('root ::= "(" root ")" | word "b"\nword ::= [a-z]+', ["ab", "((abb))", "(bbb)"], ["b", "(ab", "(a)"]),
        ('root ::= "a" root "a" | "a"', ["a", "aaa", "aaaaa"], ["aa", "aaaa"]),
        ('root ::= "[" (item ("," item)*)? "]"\nitem ::= "aa" | "a" | root', ["[a,aa,[a]]", "[]"], ["[aaa]", "[a,]"]),
        ('root ::= root "a" | "b"', ["b", "baa"], ["a", "ab"]),
        (JSON, ['{"a\\n": [1, -2.5e+1, {}],\n  "b":true}', "{}"], ['{"a":01}', '{"a":"\n"}', "[]", '{"a":1,}']),
        (ARITHMETIC, ["x +(2*y)=3\n", "1=1\nx1=2\n"], ["x+=3\n", "(1=1\n"]),
    ],
)  # fmt: skip
def test_a_grammar_allows_what_it_says(grammar: str, right: list[str], wrong: list[str]) -> None:
    start = matcher(grammar=grammar)
    assert [text for text in right if not accepts(start, text)] == []
    assert [text for text in wrong if accepts(start, text)] == []


def test_a_token_is_meant_by_id_or_name_and_never_spelt() -> None:
    state = matcher(grammar='root ::= <think> [a-z]+ <[262]> "!"')
    assert allowed(state) == {THINK}
    for token in (THINK, HELLO, BRACE_QUOTE, ord("!"), EOG):
        assert state.accept(token)
    spelt = matcher(grammar=f"root ::= <[{HELLO}]>")
    assert allowed(spelt) == {HELLO}


def test_any_other_token_ends_nothing() -> None:
    found = allowed(matcher(grammar='root ::= !<[65]> "x"'))
    assert not found & {65, EOG}
    assert THINK in found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('root ::= "a" {3,1}', " at line 1, column 14: the minimum of 3 exceeds the maximum of 1"),
        ("root ::= " + "(" * 300, " at line 1, column 210: groups are nested deeper than 200"),
        ('root ::= "a"{100001,}', " at line 1, column 13: repeated more than 100,000 times"),
        ('root ::= "a"{ , }', " at line 1, column 13: expecting counts, as in {2}, {2,} or {2,5}"),
        ('root ::= "blue" |\n "red', ' at line 2, column 2: this text is not closed (")'),
        ("root ::= [a-", " at line 1, column 10: this set is not closed (])"),
        ("root ::= [z-a]", " at line 1, column 10: this set has a range in reverse order"),
        ('root ::= ("a" | ("b"', " at line 1, column 17: expecting ')' for the group that begins here"),
        ('root ::= "a" )', " at line 1, column 14: expecting a new line or the end"),
        ('root ::= "a\\q"', " at line 1, column 12: unknown escape"),
        ('root ::= + "a"', " at line 1, column 10: expecting something to repeat before this"),
        ("root ::= <7", " at line 1, column 10: expecting a token, as in <[7]> or <name>"),
        ('root ::= "a"\n| "b"', " at line 2, column 1: expecting the name of a rule"),
        ('root ::= "a"\nx := "b"', " at line 2, column 3: expecting ::="),
        ('root ::= "a" foo', " at line 1, column 14: there is no rule named foo"),
        ("root ::= $", " at line 1, column 10: expecting a text, a set, a rule or a group"),
        ('foo ::= "a"', ": it has no rule named root"),
        ("", ": it has no rule named root"),
        ("root ::= <nothing>", ": <nothing> is not a token of this model"),
        pytest.param("#" * 2_000_000, ": it is longer than 1,048,576 characters", id="long"),
    ],
)
def test_a_mistake_is_reported_with_its_place(text: str, says: str) -> None:
    with pytest.raises(SamplingError) as error:
        matcher(grammar=text)
    assert str(error.value) == f"the grammar is wrong{says}"


def test_a_token_that_there_is_not_is_an_error() -> None:
    with pytest.raises(SamplingError, match="there is no token #999: the vocabulary has 263"):
        matcher(grammar="root ::= <[999]>")


def test_a_grammar_that_allows_nothing_is_refused() -> None:
    with pytest.raises(SamplingError, match="the grammar cannot be used: it allows no text"):
        matcher(grammar="root ::= root")


def test_lark_is_llguidances_own() -> None:
    start = matcher(lark='start: "a" B+\nB: /[bc]/\n')
    assert accepts(start, "abc")
    assert not accepts(start, "ad")
    with pytest.raises(SamplingError) as error:
        matcher(lark='\nstart: "a" | nothing\n')
    assert str(error.value) == 'the Lark grammar is wrong at line 2, column 8: unknown name: "nothing"'
