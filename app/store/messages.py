"""The rows of messages and of their generations: SQL in, values out. Synchronous, as `app.store.conversations`.

A message's attachments have no column: no kinds of them exist yet, its text is all that there is to store.
"""

from __future__ import annotations

from typing import Any

import apsw
import msgspec

from app.domain.conversation import Attachments, GenerationRecord, Message, ReplyState, Role
from app.domain.errors import GoneError
from app.domain.generation import FinishReason, Stop, Thinking, Timings, Usage
from app.domain.sampling import SamplingParams
from app.store.conversations import missing, now_ms
from app.store.sql import execute

_SELECT = """
    SELECT m.id, m.conversation_id, m.parent_id, m.role, m.content, m.created_ms, m.state,
           g.model, g.preset, g.seed, g.finish_reason, g.error, g.stop_kind, g.stop_text, g.stop_token_id,
           g.n_prompt, g.n_cached, g.n_generated,
           g.load_ms, g.queue_ms, g.prefill_ms, g.ttft_ms, g.decode_ms,
           g.prefill_tps, g.decode_tps, g.p50_ms, g.p95_ms,
           g.n_dropped_messages, g.n_dropped_tokens, g.n_shifted_tokens, g.incomplete, m.thinking
    FROM message AS m LEFT JOIN generation AS g ON g.message_id = m.id
"""
_INSERT_GENERATION = """
    INSERT INTO generation VALUES (
        :message_id, :model, :preset, :params, :seed, :finish_reason, :stop_kind, :stop_text, :stop_token_id, :error,
        :n_prompt, :n_cached, :n_generated, :load_ms, :queue_ms, :prefill_ms, :ttft_ms, :decode_ms,
        :prefill_tps, :decode_tps, :p50_ms, :p95_ms, :n_dropped_messages, :n_dropped_tokens, :n_shifted_tokens,
        :incomplete
    )
"""


def add(connection: apsw.Connection, message: Message, owner: str) -> Message:
    """Inserts `message` whatever its id and returns it with its own; `owner` is kept while it is STREAMING.

    Raises GoneError where its conversation or its parent is not there.
    """
    if not execute(connection, "SELECT count(*) FROM conversation WHERE id = ?", (message.conversation_id,)).get:
        raise missing(message.conversation_id)
    if message.parent_id is not None:
        get(connection, message.parent_id)
    execute(
        connection,
        "INSERT INTO message (conversation_id, parent_id, role, content, state, owner, created_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            message.conversation_id,
            message.parent_id,
            message.role.value,
            message.content,
            message.state.value,
            owner if message.state is ReplyState.STREAMING else None,
            message.created_ms,
        ),
    )
    return msgspec.structs.replace(message, id=connection.last_insert_rowid())


def new(
    conversation_id: int, parent_id: int | None, role: Role, content: str, state: ReplyState, attachments: Attachments
) -> Message:
    """A message of now that has no row yet."""
    return Message(
        id=0,
        conversation_id=conversation_id,
        parent_id=parent_id,
        role=role,
        content=content,
        created_ms=now_ms(),
        state=state,
        attachments=attachments,
    )


def set_streaming_content(
    connection: apsw.Connection, message_id: int, content: str, thinking: Thinking | None
) -> None:
    """Replaces the text of a reply that is still STREAMING. Raises GoneError when it is not, or is gone."""
    execute(
        connection,
        "UPDATE message SET content = ?, thinking = ? WHERE id = ? AND state = 'streaming'",
        (content, _packed(thinking), message_id),
    )
    _check_changed(connection, message_id)


def set_thinking(connection: apsw.Connection, message_id: int, thinking: Thinking) -> None:
    """Says where the thinking of a reply is in its content."""
    execute(connection, "UPDATE message SET thinking = ? WHERE id = ?", (_packed(thinking), message_id))


def finish(
    connection: apsw.Connection, message_id: int, content: str, state: ReplyState, thinking: Thinking | None
) -> None:
    """Gives a STREAMING reply its last text and state. Raises GoneError when it is not STREAMING, or is gone."""
    execute(
        connection,
        "UPDATE message SET content = ?, state = ?, thinking = ?, owner = NULL WHERE id = ? AND state = 'streaming'",
        (content, state.value, _packed(thinking), message_id),
    )
    _check_changed(connection, message_id)


def add_generation(
    connection: apsw.Connection, message_id: int, record: GenerationRecord, sampling: SamplingParams | None
) -> None:
    """Inserts the record of a reply."""
    stop = record.stop
    row: dict[str, Any] = {
        "message_id": message_id,
        "model": record.model,
        "preset": record.preset,
        "params": msgspec.json.encode(sampling).decode() if sampling else None,
        "seed": record.seed,
        "finish_reason": record.finish_reason.value,
        "stop_kind": stop.kind if stop else None,
        "stop_text": stop.text if stop else None,
        "stop_token_id": stop.token_id if stop else None,
        "error": record.error,
        "n_dropped_messages": record.n_dropped_messages,
        "n_dropped_tokens": record.n_dropped_tokens,
        "n_shifted_tokens": record.n_shifted_tokens,
        "incomplete": record.incomplete,
        **msgspec.structs.asdict(record.usage),
        **msgspec.structs.asdict(record.timings),
    }
    execute(connection, _INSERT_GENERATION, row)


def withdraw(connection: apsw.Connection, message_id: int) -> bool:
    """Removes a message that nothing answers; its conversation shows the one before, and goes with its last message.

    False, and no change, if there is none or it has an answer.
    """
    row = execute(
        connection,
        "SELECT m.conversation_id, m.parent_id FROM message AS m"
        " WHERE m.id = ? AND NOT EXISTS (SELECT 1 FROM message AS child WHERE child.parent_id = m.id)",
        (message_id,),
    ).fetchone()
    if row is None:
        return False
    conversation_id, parent_id = row
    newest = execute(
        connection, "SELECT max(id) FROM message WHERE conversation_id = ? AND id <> ?", (conversation_id, message_id)
    ).get
    if newest is None:
        execute(connection, "DELETE FROM conversation WHERE id = ?", (conversation_id,))
        return True
    execute(
        connection,
        "UPDATE conversation SET tip_id = ? WHERE id = ? AND tip_id = ?",
        (parent_id or newest, conversation_id, message_id),
    )
    execute(connection, "DELETE FROM message WHERE id = ?", (message_id,))
    return True


def get(connection: apsw.Connection, message_id: int) -> Message:
    """One message. Raises GoneError when there is none."""
    row = execute(connection, f"{_SELECT} WHERE m.id = ?", (message_id,)).fetchone()
    if row is None:
        raise GoneError(f"there is no message {message_id}")
    return _message(row)


def branch(connection: apsw.Connection, conversation_id: int) -> list[Message]:
    """From the root to the tip; a parent is always older than its children."""
    sql = f"""
        WITH RECURSIVE path (id, parent_id) AS (
            SELECT m.id, m.parent_id FROM conversation AS c JOIN message AS m ON m.id = c.tip_id WHERE c.id = ?
            UNION ALL
            SELECT m.id, m.parent_id FROM path JOIN message AS m ON m.id = path.parent_id
        )
        {_SELECT} WHERE m.id IN (SELECT id FROM path) ORDER BY m.id
    """
    return [_message(row) for row in execute(connection, sql, (conversation_id,))]


def of(connection: apsw.Connection, conversation_id: int) -> list[Message]:
    """All messages of a conversation; oldest first."""
    return [
        _message(row)
        for row in execute(connection, f"{_SELECT} WHERE m.conversation_id = ? ORDER BY m.id", (conversation_id,))
    ]


def _check_changed(connection: apsw.Connection, message_id: int) -> None:
    if not connection.changes():
        raise GoneError(f"reply {message_id} can no longer be written", "It was finished or deleted elsewhere.")


def _message(row: tuple[Any, ...]) -> Message:
    message_id, conversation_id, parent_id, role, content, created_ms, state, model, *_ = row
    return Message(
        id=message_id,
        conversation_id=conversation_id,
        parent_id=parent_id,
        role=Role(role),
        content=content,
        created_ms=created_ms,
        state=ReplyState(state),
        generation=None if model is None else _generation(row),
        thinking=None if row[-1] is None else msgspec.json.decode(row[-1], type=Thinking),
    )


def _packed(thinking: Thinking | None) -> str | None:
    return None if thinking is None else msgspec.json.encode(thinking).decode()


def _generation(row: tuple[Any, ...]) -> GenerationRecord:
    model, preset, seed, finish_reason, error, stop_kind, stop_text, stop_token_id = row[7:15]
    n_dropped_messages, n_dropped_tokens, n_shifted_tokens, incomplete = row[27:-1]
    return GenerationRecord(
        model=model,
        preset=preset,
        seed=seed,
        finish_reason=FinishReason(finish_reason),
        stop=None if stop_kind is None else Stop(stop_kind, stop_text, stop_token_id),
        usage=Usage(*row[15:18]),
        timings=Timings(*row[18:27]),
        error=error,
        n_dropped_messages=n_dropped_messages,
        n_dropped_tokens=n_dropped_tokens,
        n_shifted_tokens=n_shifted_tokens,
        incomplete=bool(incomplete),
    )
