"""The `logs.db` of the program `llm`: each response becomes a question and a reply, in one branch."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.archive.checks import NotUnderstoodError, check_tree
from app.domain.archive import ArchivedConversation, ArchivedMessage, ImportedFile
from app.domain.conversation import Message, Role

SQLITE = b"SQLite format 3\0"
_HINT = "`llm logs path` prints the path of llm's database."
_TABLES = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('conversations', 'responses')"
_ROWS = """
    SELECT r.conversation_id, c.name, r.prompt, r.system, r.response, r.datetime_utc
    FROM responses AS r LEFT JOIN conversations AS c ON c.id = r.conversation_id ORDER BY r.datetime_utc, r.rowid
"""


def read_llm_logs(path: Path) -> ImportedFile:
    """Reads the responses. Raises NotUnderstoodError if the database has no such tables or is damaged."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            n_tables = connection.execute(_TABLES).fetchone()[0]
            if n_tables != 2:
                raise NotUnderstoodError("the database has no tables of llm", _HINT)
            rows = connection.execute(_ROWS).fetchall()
    except sqlite3.Error as error:
        raise NotUnderstoodError(f"the database cannot be read ({error})", _HINT) from error
    talks: dict[str, list[Sequence[Any]]] = {}
    for number, row in enumerate(rows):
        talks.setdefault(str(row[0] or f"alone {number}"), []).append(row)
    conversations: list[ArchivedConversation] = []
    skipped: dict[str, int] = {}
    for talk in talks.values():
        try:
            conversations.append(_conversation(talk))
        except (NotUnderstoodError, ValueError, TypeError):
            skipped["damaged conversation"] = skipped.get("damaged conversation", 0) + 1
        if n_systems := sum(bool(row[3]) for row in talk):
            skipped["system prompt"] = skipped.get("system prompt", 0) + n_systems
    return ImportedFile(tuple(conversations), skipped)


def _conversation(talk: Sequence[Sequence[Any]]) -> ArchivedConversation:
    rows: list[ArchivedMessage] = []
    for _, _, prompt, _, response, when in talk:
        for role, text in ((Role.USER, prompt), (Role.ASSISTANT, response)):
            rows.append(
                ArchivedMessage(
                    Message(
                        id=len(rows) + 1,
                        conversation_id=0,
                        parent_id=len(rows) or None,
                        role=role,
                        content=str(text or ""),
                        created_ms=_ms(when),
                    )
                )
            )
    first, last = rows[0].message, rows[-1].message
    found = ArchivedConversation(
        title=str(talk[0][1] or first.content[:80]),
        created_ms=first.created_ms,
        updated_ms=last.created_ms,
        tip=len(rows),
        messages=tuple(rows),
    )
    check_tree(found)
    return found


def _ms(when: str) -> int:
    found = datetime.fromisoformat(when)
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
