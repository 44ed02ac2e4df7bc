"""`tok help`: topics, one topic, and typing errors."""

from __future__ import annotations

import pytest

from app.cli.common import console
from app.cli.common.exit_codes import ExitCode
from app.manual import TOPICS, read_topic


def test_without_a_topic_all_are_listed(tok) -> None:
    outcome = tok("help")
    header, *rows = outcome.out.splitlines()
    assert (outcome.code, header.split()) == (0, ["TOPIC", "ABOUT"])
    assert [row.split()[0] for row in rows[: len(TOPICS)]] == list(TOPICS)


@pytest.mark.parametrize("topic", TOPICS)
def test_a_pipe_gets_the_text_as_it_is_written(tok, topic: str) -> None:
    outcome = tok("help", topic.upper())
    assert (outcome.code, outcome.out, outcome.err) == (0, read_topic(topic), "")
    assert "<!--" not in outcome.out


def test_a_terminal_gets_it_formatted(tok, monkeypatch) -> None:
    monkeypatch.setattr(console, "stdout_is_terminal", lambda: True)
    monkeypatch.setenv("PAGER", "cat")
    monkeypatch.setenv("NO_COLOR", "1")
    outcome = tok("help", "steering")
    assert outcome.code == 0
    assert "Steering a reply" in outcome.out
    assert "## Step mode" not in outcome.out


@pytest.mark.parametrize("topic", TOPICS)
def test_a_narrow_terminal_cuts_nothing_off(tok, monkeypatch, topic: str) -> None:
    monkeypatch.setattr(console, "stdout_is_terminal", lambda: True)
    monkeypatch.setenv("PAGER", "cat")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    assert tok("help", topic).out.count("…") == read_topic(topic).count("…")


def test_a_typing_error_names_the_nearest_topic(tok) -> None:
    outcome = tok("help", "lop")
    assert (outcome.code, outcome.out) == (ExitCode.USAGE, "")
    assert (
        outcome.err
        == "tok: there is no topic `lop`\nhint: Did you mean `tok help loop`? `tok help` lists the topics.\n"
    )
