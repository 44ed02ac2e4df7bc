"""llm's database: questions and replies in order, and databases that are not llm's."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.archive.checks import NotUnderstoodError
from app.archive.reading import read_archive

TABLES = """
    CREATE TABLE conversations (id TEXT PRIMARY KEY, name TEXT, model TEXT);
    CREATE TABLE responses (id TEXT, model TEXT, prompt TEXT, system TEXT, response TEXT, conversation_id TEXT,
                            datetime_utc TEXT);
    INSERT INTO conversations VALUES ('c', 'Sea', 'm');
"""


def database(path: Path, script: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return path


def test_responses_are_read_in_order(tmp_path: Path) -> None:
    rows = """
        INSERT INTO responses VALUES ('2', 'm', 'And wide?', NULL, 'Very.', 'c', '2024-01-02T00:00:01+00:00');
        INSERT INTO responses VALUES ('1', 'm', 'How deep?', 'Be brief.', 'Deep.', 'c', '2024-01-02T00:00:00');
        INSERT INTO responses VALUES ('3', 'm', 'Alone', NULL, NULL, NULL, '2024-01-03T00:00:00');
        INSERT INTO responses VALUES ('4', 'm', 'When?', NULL, 'x', 'd', 'never');
    """
    archive = read_archive(database(tmp_path / "logs.db", TABLES + rows))
    sea, alone = archive.conversations
    assert (sea.title, sea.created_ms, sea.updated_ms) == ("Sea", 1_704_153_600_000, 1_704_153_601_000)
    assert [message.content for message in sea.branch] == ["How deep?", "Deep.", "And wide?", "Very."]
    assert (alone.title, [message.content for message in alone.branch]) == ("Alone", ["Alone", ""])
    assert archive.skipped == {"system prompt": 1, "damaged conversation": 1}


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("CREATE TABLE other (x)", "no tables of llm"),
        ("CREATE TABLE conversations (id); CREATE VIEW responses AS SELECT 1", "no tables of llm"),
        ("CREATE TABLE conversations (id); CREATE TABLE responses (x)", "cannot be read (no such column"),
    ],
)
def test_another_database_is_a_clear_error(tmp_path: Path, script: str, message: str) -> None:
    with pytest.raises(NotUnderstoodError) as caught:
        read_archive(database(tmp_path / "logs.db", script))
    assert message in str(caught.value)


def test_a_damaged_database_is_a_clear_error(tmp_path: Path) -> None:
    file = database(tmp_path / "logs.db", TABLES)
    file.write_bytes(file.read_bytes()[:100] + b"x" * 5000)
    with pytest.raises(NotUnderstoodError, match="cannot be read"):
        read_archive(file)
