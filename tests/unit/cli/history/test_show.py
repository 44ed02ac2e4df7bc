"""`tok history show` and `search`."""

from __future__ import annotations

import pytest

from tests.unit.cli.history.conftest import HOSTILE


def test_the_branch_shown_is_printed_with_its_facts(tok, two) -> None:
    out = tok("history", "show", "1").out
    assert out.startswith('---\ntitle: "The sea"\n')
    for line in ('model: "tiny"', 'preset: "mine"', "seed: 7", "generated_tokens: 5", 'system: "Be brief."'):
        assert f"\n{line}\n" in out
    assert "## You\n\nHow deep is the sea?\n\n## Model\n\nVery deep.\n" in out
    assert "Eleven" not in out


def test_nothing_that_is_stored_acts_on_the_terminal(tok, two) -> None:
    for arguments in (["show", "2"], ["show", "2", "--code", "2"], ["show", "2", "--json"], ["search", "Two"]):
        out = tok("history", *arguments).out
        assert out
        assert not set(HOSTILE) & {"\x1b", "\x07", "\u202e"} & set(out)


def test_a_code_block_is_printed_as_it_was_written(tok, two) -> None:
    assert tok("history", "show", "2", "--code", "1").out == "print(1)\n"
    assert tok("history", "show", "2", "--code", "1", "--json").json == {"id": 2, "code": 1, "text": "print(1)\n"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "9"], "there is no conversation 9"),
        (["show", "2", "--code", "3"], "there is no code block 3: conversation 2 has 2"),
        (["show", "x"], "is not a whole number"),
        (["search"], "Missing argument"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_a_usage_error(tok, two, arguments: list[str], message: str) -> None:
    outcome = tok("history", *arguments)
    assert outcome.code == 2
    assert message in outcome.err


def test_without_a_database_nothing_is_found(tok) -> None:
    assert "there is no conversation 1" in tok("history", "show", "1").err
    assert tok("history", "search", "sea", "--json").json == []


def test_a_message_is_found_on_every_branch_with_its_context(tok, two) -> None:
    (found,) = tok("history", "search", "eleven", "--json").json
    assert {name: found[name] for name in ("id", "title", "role", "excerpt")} == {
        "id": 1,
        "title": "The sea",
        "role": "assistant",
        "excerpt": "Eleven kilometres.",
    }
    assert tok("history", "search", "deep").out.splitlines()[1].split(maxsplit=3)[3] == "Very deep."
    assert tok("history", "search", "nowhere").err == "tok: no message contains these words\n"


def test_what_is_deleted_is_not_found(tok, two) -> None:
    tok("history", "rm", "1")
    assert tok("history", "search", "deep", "--json").json == []
    assert tok("history", "show", "1").code == 2
