"""Mistakes in grammars: each is told with its place, and what llama.cpp takes is taken."""

from __future__ import annotations

import pytest

from app.domain.gbnf import Gbnf, GbnfError

AMBIGUOUS = "what may be empty comes too often, which can be read in too many ways: count what is not empty"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
GOOD = [
    'root ::= "yes" | "no"',
    'root::="a"#c\n#d\n b::="c"\r\n',
    'root ::= [^"\\\\\\x7F\\x00-\\x1F] | "\\\\" ["bf] {2} . <[7]> !<end>',
    "root ::= (\n  a |\n b){0,7} c*\na ::= [-a-z\\]]\nb ::= (a?)*\nc ::= [äöü]+",
    'root ::= "a" root | "b"',
    'root ::= "a"{1,2000} "b"{0}',
    "root ::= " + "(" * 5000 + '"a"' + ")?" * 5000,
    'root ::= ("a"?)* ("," "a"?){2,100} [ab]{0,50} ("a"? "b"?){8} ws{3}\nws ::= | " " | "\\n" [ \\t]{0,20}',
    "root ::= " + " ".join(f"{c}?" for c in LETTERS) + "\n" + "\n".join(f'{c} ::= "{c}"' for c in LETTERS),
    "root ::= a0\n" + "\n".join(f'a{i} ::= ("," "x")? a{i + 1}' for i in range(30)) + '\na30 ::= ("," "x")?',
    "\n".join(f"r{i} ::= r{i + 1}" for i in range(5000)) + '\nr5000 ::= "b"\nroot ::= r0',
]


@pytest.mark.parametrize("text", GOOD, ids=range(len(GOOD)))
def test_a_grammar_that_llama_cpp_takes_is_taken(text: str) -> None:
    Gbnf(text).check_recursion()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('root ::= "a" {3,1}', " at line 1, column 14: at least 3 but at most 1 times"),
        pytest.param(
            "root ::= " + "(" * 20_000, " at line 1, column 10010: groups are nested deeper than 10,000", id="deep"
        ),
        ('root ::= "' + "a" * 1000 + '"{2000}', " at line 1, column 1012: repeated too often (at most 2,000 times)"),
        ('root ::= "a"{2001,}', " at line 1, column 13: repeated too often (at most 2,000 times)"),
        (
            'root ::= b\nb ::= "a"{1,2001}',
            " at line 2, column 10: at most 2,001 times is no limit to llama.cpp, which counts to 2,000: "
            "write {1,} for no limit, or {1,2000}",
        ),
        (
            'root ::= "a"{ , }',
            " at line 1, column 13: expecting counts, as in {2}, {2,} or {2,5}",
        ),
        ('root ::= "blue" |\n "red', ' at line 2, column 2: the text that begins here has no end (")'),
        ("root ::= [a-", " at line 1, column 10: the set that begins here has no end (])"),
        ('root ::= ("a" | ("b"', " at line 1, column 17: expecting ')' for the group that begins here"),
        ('root ::= "a" )', " at line 1, column 14: expecting a new line or the end"),
        ('root ::= "a\\q"', " at line 1, column 12: an escape that there is not"),
        ('root ::= + "a"', " at line 1, column 10: expecting something to repeat before this"),
        ('root ::= "a"{x}', " at line 1, column 13: expecting counts, as in {2}, {2,} or {2,5}"),
        ("root ::= <7", " at line 1, column 10: expecting a token, as in <[7]> or <name>"),
        ('root ::= "a"\n| "b"', " at line 2, column 1: expecting the name of a rule"),
        ('root ::= "a"\nx := "b"', " at line 2, column 3: expecting ::="),
        ('root ::= "a" foo', " at line 1, column 14: there is no rule named foo"),
        ('foo ::= "a"', ": it has no rule named root"),
        ("", ": it has no rule named root"),
        *[
            (
                text,
                f" at line {line}, column {column}: what may be empty comes too often, which can be read in too many "
                "ways: count what is not empty",
            )
            for text, line, column in [
                ('root ::= ("a"?){200} "b"', 1, 16),
                ('root ::= (("a"?){16}){16}', 1, 22),
                ('root ::= "a"?{17}', 1, 14),
                ('root ::= ("a" | b)* "c"\nb ::= ("a"? "a"? "a"?){1,500}', 2, 23),
                ('root ::= a{9}\na ::= b c?\nb ::= c*\nc ::= "c"', 1, 11),
                ('root ::= "x"' + " a" * 17 + '\na ::= "a"?', 1, 14),
            ]
        ],
        pytest.param("#" * 5_000_000, ": it is longer than 4,194,304 characters", id="long"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, says: str) -> None:
    with pytest.raises(GbnfError) as error:
        Gbnf(text)
    assert str(error.value) == says


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('root ::= root "a"', " at line 1, column 10: a rule begins with itself (left recursion)"),
        (
            'root ::= a\na ::= b? a | "y"\nb ::= [z]',
            " at line 2, column 10: a rule begins with itself (left recursion)",
        ),
        ('root ::= ("" | "a")*', " at line 1, column 10: what may be empty is repeated without end"),
        ("root ::= a?*\na ::= [b]", " at line 1, column 10: what may be empty is repeated without end"),
    ],
)
def test_a_rule_that_begins_with_itself_is_found(text: str, says: str) -> None:
    grammar = Gbnf(text)
    with pytest.raises(GbnfError) as error:
        grammar.check_recursion()
    assert str(error.value) == says
