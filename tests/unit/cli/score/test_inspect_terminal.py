"""`tok inspect` where people look at it: the text, what its looks mean, and the figures of its tokens."""

from __future__ import annotations

import pytest

from tests.fakes.scripted_engine import ScriptedEngine

pytestmark = pytest.mark.usefixtures("model")


def test_a_score_in_a_terminal_is_the_text_with_a_legend_and_a_row_for_each_token(tok, terminal) -> None:
    lines = tok("inspect", "a b c d e").out.splitlines()
    assert lines == [
        "a b\x1b[4;36m c\x1b[0m d\x1b[4;36m e\x1b[0m",
        "",
        "50 % and more · \x1b[4;36m10 to 50 %\x1b[0m · \x1b[1;33m1 to 10 %\x1b[0m · \x1b[1;4;35m0.1 to 1 %\x1b[0m"
        " · \x1b[7;31mless than 0.1 %\x1b[0m",
        "",
        "  token                      p    rank    entropy  in its place",
        '  "a"                        –       –          –  no context',
        '  " b"                    50 %       1  2.00 bits',
        '  \x1b[4;36m" c"\x1b[0m                    25 %       2  2.00 bits  " alt1" 50 %',
        '  " d"                    50 %       1  2.00 bits',
        '  \x1b[4;36m" e"\x1b[0m                    12 %       3  2.00 bits  " alt1" 50 %',
        "",
        "perplexity 3.3636 over 4 scored of 5 tokens (all but the first)",
    ]


def test_the_alternatives_that_are_asked_for_stand_in_each_row(tok, terminal) -> None:
    engine = ScriptedEngine()
    lines = tok("inspect", "a b c", "-k", "4", engine=engine).out.splitlines()
    assert lines[5:-2] == [
        '  "a"                        –       –          –  no context',
        '  " b"                    50 %       1  2.00 bits  " alt2" 25 % · " alt3" 12 %',
        '                                                   " alt4" 6.2 %',
        '  \x1b[4;36m" c"\x1b[0m                    25 %       2  2.00 bits  " alt1" 50 % · " alt3" 12 %',
        '                                                   " alt4" 6.2 %',
    ]
    assert engine.scored[0].top_k == 4


def test_a_wide_terminal_has_alternatives_side_by_side(tok, terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "90")
    lines = tok("inspect", "a b", "-k", "4").out.splitlines()
    assert lines[6:8] == [
        '  " b"                    50 %       1  2.00 bits  " alt2" 25 % · " alt3" 12 %',
        '                                                   " alt4" 6.2 %',
    ]


def test_of_a_long_text_the_least_expected_tokens_alone_have_a_row(tok, terminal) -> None:
    text = " ".join(f"w{n}" for n in range(41))
    lines = tok("inspect", text).out.splitlines()
    assert lines[4:-2] == [
        "  least expected             p    rank    entropy  in its place",
        *(
            f'  \x1b[4;36m{name}\x1b[0m{"":{18 - len(name)}}      12 %       3  2.00 bits  " alt1" 50 %'
            for name in (f'" w{n}"' for n in (4, 9, 14, 19, 24, 29, 34, 39))
        ),
        "  8 of 41 tokens; --tokens shows all",
    ]


@pytest.mark.parametrize(
    ("n_words", "arguments", "n_rows"),
    [
        (40, (), 40),
        (41, (), 8),
        (41, ("--tokens",), 41),
        (41, ("-k", "1"), 41),
        (41, ("-k", "1", "--no-tokens"), 8),
        (5, ("--no-tokens",), 2),
    ],
)
def test_every_token_has_a_row_where_they_are_few_or_where_it_is_asked_for(
    tok, terminal, n_words: int, arguments: tuple[str, ...], n_rows: int
) -> None:
    lines = tok("inspect", " ".join(["w"] * n_words), *arguments).out.splitlines()
    rows = [line for line in lines if " bits" in line or "no context" in line]
    assert len(rows) == n_rows
    assert [line for line in lines if "shows all" in line] == (
        [f"  {n_rows} of {n_words} tokens; --tokens shows all"] if n_rows < n_words else []
    )


def test_hostile_tokens_cannot_reach_the_terminal_from_the_table(tok, terminal) -> None:
    out = tok("inspect", "a \x1b]0;owned\x07 \u202eb").out
    assert "\x1b]" not in out
    assert "\x07" not in out
    assert "\u202e" not in out


def test_the_alternatives_that_are_asked_for_have_a_column_in_a_pipe(tok) -> None:
    lines = tok("inspect", "a b", "-k", "1").out.splitlines()
    assert lines == [
        "start\tend\tid\tp\tlogprob\trank\tentropy\ttext\ttop",
        '0\t1\t100\t1\t0\t1\t0.0000\t"a"\t[]',
        '1\t3\t101\t0.5\t-0.693147\t1\t2.0000\t" b"\t[{"id": 101, "text": " b", "p": 0.5}]',
    ]
