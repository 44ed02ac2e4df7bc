"""Figures and damage of the database. Synchronous; called with an open transaction."""

from __future__ import annotations

from typing import Any

import apsw
from msgspec import Struct
from msgspec.structs import replace

from app.store.sql import execute

_MAX_PROBLEMS = 100


class ModelFigures(Struct, frozen=True):
    """Replies of one model, deleted conversations left out."""

    model: str
    n_replies: int
    n_prompt: int
    n_generated: int


class StoreFigures(Struct, frozen=True):
    """What a database holds."""

    n_conversations: int = 0
    n_deleted: int = 0
    n_messages: int = 0
    """Of conversations that are not deleted."""
    trace_bytes: int = 0
    database_bytes: int = 0
    models: tuple[ModelFigures, ...] = ()
    """Most replies first."""


def figures(connection: apsw.Connection) -> StoreFigures:
    """Counts rows and bytes."""
    row = _first(
        connection,
        """
        SELECT (SELECT count(*) FROM conversation WHERE deleted_ms IS NULL),
               (SELECT count(*) FROM conversation WHERE deleted_ms IS NOT NULL),
               (SELECT count(*) FROM message AS m JOIN conversation AS c ON c.id = m.conversation_id
                WHERE c.deleted_ms IS NULL),
               (SELECT coalesce(sum(n_bytes), 0) FROM trace),
               (SELECT page_count * page_size FROM pragma_page_count, pragma_page_size)
        """,
    )
    models = execute(
        connection,
        "SELECT g.model, count(*), sum(g.n_prompt), sum(g.n_generated) FROM generation AS g"
        " JOIN message AS m ON m.id = g.message_id JOIN conversation AS c ON c.id = m.conversation_id"
        " WHERE c.deleted_ms IS NULL GROUP BY g.model ORDER BY 2 DESC, 1",
    )
    return replace(StoreFigures(*row), models=tuple(_model(each) for each in models))


def problems(connection: apsw.Connection) -> list[str]:
    """Returns what SQLite finds wrong, at most 100 lines; empty if the database is intact."""
    found = [_text(row) for row in execute(connection, f"PRAGMA integrity_check({_MAX_PROBLEMS})")]
    lost = [_text(row) for row in execute(connection, "PRAGMA foreign_key_check")]
    return [each for each in found if each != "ok"] + [f"row without its parent in {table}" for table in lost]


def _first(connection: apsw.Connection, sql: str) -> tuple[Any, ...]:
    return execute(connection, sql).fetchone() or ()


def _model(row: tuple[Any, ...]) -> ModelFigures:
    return ModelFigures(*row)


def _text(row: tuple[Any, ...]) -> str:
    return str(row[0])
