"""The tables, as an ordered list of migrations; `PRAGMA user_version` counts those that were applied.

A migration that was released never changes: a new one is appended.
"""

from __future__ import annotations

from collections.abc import Callable

import apsw

from app.store.sql import execute

APPLICATION_ID = 0x746F6B73
"""`toks`: marks the file as ours."""


def _create(connection: apsw.Connection) -> None:
    """Conversations, their tree of messages, what is known of each generation, and the search index.

    A parent and a tip are messages of the same conversation. Text is indexed once its message leaves STREAMING, so
    that journalling costs no indexing. `owner` names the instance that is writing a STREAMING reply.
    """
    execute(
        connection,
        """
        CREATE TABLE conversation (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            title TEXT NOT NULL,
            tip_id INTEGER,
            created_ms INTEGER NOT NULL,
            updated_ms INTEGER NOT NULL,
            deleted_ms INTEGER,
            FOREIGN KEY (id, tip_id) REFERENCES message (conversation_id, id) DEFERRABLE INITIALLY DEFERRED
        ) STRICT;
        CREATE TABLE message (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            conversation_id INTEGER NOT NULL REFERENCES conversation (id) ON DELETE CASCADE,
            parent_id INTEGER,
            role TEXT NOT NULL,
            content TEXT NOT NULL,
            state TEXT NOT NULL,
            owner TEXT,
            created_ms INTEGER NOT NULL,
            UNIQUE (conversation_id, id),
            FOREIGN KEY (conversation_id, parent_id) REFERENCES message (conversation_id, id)
                DEFERRABLE INITIALLY DEFERRED
        ) STRICT;
        CREATE INDEX message_parent ON message (conversation_id, parent_id);
        CREATE INDEX message_streaming ON message (owner) WHERE state = 'streaming';
        CREATE TABLE generation (
            message_id INTEGER PRIMARY KEY REFERENCES message (id) ON DELETE CASCADE,
            model TEXT NOT NULL,
            preset TEXT NOT NULL,
            params TEXT,
            seed INTEGER NOT NULL,
            finish_reason TEXT NOT NULL,
            stop_kind TEXT,
            stop_text TEXT,
            stop_token_id INTEGER,
            error TEXT NOT NULL,
            n_prompt INTEGER NOT NULL,
            n_cached INTEGER NOT NULL,
            n_generated INTEGER NOT NULL,
            load_ms REAL NOT NULL,
            queue_ms REAL NOT NULL,
            prefill_ms REAL NOT NULL,
            ttft_ms REAL NOT NULL,
            decode_ms REAL NOT NULL,
            prefill_tps REAL NOT NULL,
            decode_tps REAL NOT NULL,
            p50_ms REAL NOT NULL,
            p95_ms REAL NOT NULL
        ) STRICT;

        CREATE VIRTUAL TABLE title_index USING fts5 (
            title, content='conversation', content_rowid='id', tokenize='unicode61 remove_diacritics 2'
        );
        INSERT INTO title_index (title_index, rank) VALUES ('secure-delete', 1);
        CREATE TRIGGER title_added AFTER INSERT ON conversation BEGIN
            INSERT INTO title_index (rowid, title) VALUES (new.id, new.title);
        END;
        CREATE TRIGGER title_changed AFTER UPDATE OF title ON conversation BEGIN
            INSERT INTO title_index (title_index, rowid, title) VALUES ('delete', old.id, old.title);
            INSERT INTO title_index (rowid, title) VALUES (new.id, new.title);
        END;
        CREATE TRIGGER title_removed AFTER DELETE ON conversation BEGIN
            INSERT INTO title_index (title_index, rowid, title) VALUES ('delete', old.id, old.title);
        END;

        CREATE VIRTUAL TABLE content_index USING fts5 (
            content, content='message', content_rowid='id', tokenize='unicode61 remove_diacritics 2'
        );
        INSERT INTO content_index (content_index, rank) VALUES ('secure-delete', 1);
        CREATE TRIGGER content_added AFTER INSERT ON message WHEN new.state <> 'streaming' BEGIN
            INSERT INTO content_index (rowid, content) VALUES (new.id, new.content);
        END;
        CREATE TRIGGER content_finished AFTER UPDATE OF state ON message
        WHEN old.state = 'streaming' AND new.state <> 'streaming' BEGIN
            INSERT INTO content_index (rowid, content) VALUES (new.id, new.content);
        END;
        CREATE TRIGGER content_removed AFTER DELETE ON message WHEN old.state <> 'streaming' BEGIN
            INSERT INTO content_index (content_index, rowid, content) VALUES ('delete', old.id, old.content);
        END;
        """,
    )


def _add_context_losses(connection: apsw.Connection) -> None:
    """How much of a conversation its reply was written without."""
    for column in ("n_dropped_messages", "n_dropped_tokens", "n_shifted_tokens"):
        execute(connection, f"ALTER TABLE generation ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")


def _add_traces(connection: apsw.Connection) -> None:
    """The trace of each reply, packed (`app.store.traces`). The index has the sizes."""
    execute(
        connection,
        """
        CREATE TABLE trace (
            message_id INTEGER PRIMARY KEY REFERENCES message (id) ON DELETE CASCADE,
            format INTEGER NOT NULL,
            n_tokens INTEGER NOT NULL,
            n_bytes INTEGER NOT NULL,
            data BLOB NOT NULL
        ) STRICT;
        CREATE INDEX trace_size ON trace (message_id, n_bytes);
        """,
    )


def _add_identity(connection: apsw.Connection) -> None:
    """What answers a conversation, as JSON (`ChatSettings`), and whether `tok ask` began it.

    `asked_id` is the newest message that there was when `tok ask` wrote to it last, so that it can go on there.
    """
    for column in ("settings TEXT", "kind TEXT NOT NULL DEFAULT 'chat'", "asked_id INTEGER"):
        execute(connection, f"ALTER TABLE conversation ADD COLUMN {column}")


def _add_incomplete(connection: apsw.Connection) -> None:
    """Whether a reply ended inside its grammar."""
    execute(connection, "ALTER TABLE generation ADD COLUMN incomplete INTEGER NOT NULL DEFAULT 0")


def _add_drafts(connection: apsw.Connection) -> None:
    """What is written and not sent, by the instance that holds it. A draft that is stored again is the newest."""
    execute(
        connection,
        """
        CREATE TABLE draft (
            id INTEGER PRIMARY KEY,
            owner TEXT NOT NULL UNIQUE,
            content TEXT NOT NULL
        ) STRICT;
        """,
    )


def _add_thinking(connection: apsw.Connection) -> None:
    """Where the thinking of a reply is in its content, as JSON (`Thinking`)."""
    execute(connection, "ALTER TABLE message ADD COLUMN thinking TEXT")


MIGRATIONS: list[Callable[[apsw.Connection], None]] = [
    _create,
    _add_context_losses,
    _add_traces,
    _add_identity,
    _add_incomplete,
    _add_drafts,
    _add_thinking,
]
