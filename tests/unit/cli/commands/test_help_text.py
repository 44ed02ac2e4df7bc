"""Help speaks of files and numbers, never of Python's types."""

from __future__ import annotations

import re

import pytest

from tests.manual.make import command_names


@pytest.mark.parametrize(
    "command",
    ["", "chat", "ask", "batch", "bench", "models", "models plan", "presets show", "config", "config edit"],
)
def test_no_type_of_python_is_named(tok, command: str) -> None:
    outcome = tok(*command.split(), "--help")
    assert outcome.code == 0
    assert not re.findall(r"<[a-z][^>]*>", outcome.out)


@pytest.mark.parametrize(
    ("command", "usage"),
    [
        ("ask", "Usage: tok ask [OPTIONS] [PROMPT]"),
        ("batch", "Usage: tok batch [OPTIONS] {IN}"),
        ("models plan", "Usage: tok models plan [OPTIONS] [MODEL]"),
        ("presets show", "Usage: tok presets show [OPTIONS] {NAME}"),
    ],
)
def test_usage_names_the_arguments(tok, command: str, usage: str) -> None:
    assert tok(*command.split(), "--help").out.splitlines()[0] == usage


def test_files_are_files(tok) -> None:
    out = tok("ask", "--help").out
    assert "-f, --file FILE " in out
    assert "-s, --system TEXT " in out
    assert re.search(r"^  PROMPT  The question", out, re.MULTILINE)


@pytest.mark.parametrize("words", [(), *command_names()], ids=" ".join)
def test_help_fits_80_columns_and_begins_with_a_sentence(tok, monkeypatch, words: tuple[str, ...]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = tok(*words, "--help").out.splitlines()
    assert [line for line in lines if len(line) > 80] == []
    assert re.match(r"  [A-Z].*[.\w]", lines[2])
    assert [line for line in lines if line.endswith("...") and line.startswith("  ")] == []


@pytest.mark.parametrize("words", [words for words in command_names() if len(words) == 1], ids=" ".join)
def test_a_command_that_stands_alone_has_an_example(tok, words: tuple[str, ...]) -> None:
    out = tok(*words, "--help").out
    assert "Commands:" in out or re.search(rf"^  Examples:\n    .*tok {words[0]}", out, re.MULTILINE)
