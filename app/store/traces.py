"""The rows of traces: packed ones in, values out. Synchronous, as `app.store.conversations`."""

from __future__ import annotations

import apsw

from app.domain.errors import GoneError
from app.store.packing import FORMAT
from app.store.sql import execute


def save(connection: apsw.Connection, message_id: int, n_tokens: int, data: bytes) -> None:
    """Keeps the packed trace of a reply in place of an older one. Raises GoneError when the reply is gone."""
    execute(
        connection,
        "INSERT OR REPLACE INTO trace (message_id, format, n_tokens, n_bytes, data)"
        " SELECT id, ?, ?, ?, ? FROM message WHERE id = ?",
        (FORMAT, n_tokens, len(data), data, message_id),
    )
    if not connection.changes():
        raise GoneError(f"the trace of reply {message_id} cannot be kept", "The reply was deleted elsewhere.")


def load(connection: apsw.Connection, message_id: int) -> tuple[int, bytes] | None:
    """The format and the packed trace of a reply."""
    return execute(connection, "SELECT format, data FROM trace WHERE message_id = ?", (message_id,)).fetchone()


def n_bytes(connection: apsw.Connection, conversation_id: int) -> int:
    """What the traces of a conversation take, all branches together."""
    return execute(
        connection,
        "SELECT coalesce(sum(n_bytes), 0) FROM trace"
        " WHERE message_id IN (SELECT id FROM message WHERE conversation_id = ?)",
        (conversation_id,),
    ).get


def trim(connection: apsw.Connection, max_bytes: int) -> None:
    """Removes the oldest traces, until those that stay take no more than `max_bytes`."""
    if execute(connection, "SELECT coalesce(sum(n_bytes), 0) FROM trace").get <= max_bytes:
        return
    execute(
        connection,
        "DELETE FROM trace WHERE message_id <= (SELECT max(message_id) FROM"
        " (SELECT message_id, sum(n_bytes) OVER (ORDER BY message_id DESC) AS total FROM trace) WHERE total > ?)",
        (max_bytes,),
    )
