"""Help speaks of files and numbers, never of Python's types."""

from __future__ import annotations

import re

import pytest


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
