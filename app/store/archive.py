"""Whole conversations, out of the rows and into them; and the messages that a search finds."""

from __future__ import annotations

from typing import Any

import apsw
import msgspec
from msgspec.structs import replace

from app.domain.archive import ArchivedConversation, ArchivedMessage, PackedTrace, SearchHit
from app.domain.conversation import Conversation, Message
from app.domain.sampling import SamplingParams
from app.store import conversations, figures, messages
from app.store.figures import StoreFigures
from app.store.sql import execute
from app.store.thread import StoreThread


class ConversationArchive:
    """Part of a `Store`. Every method raises StoreError and nothing else."""

    def __init__(self, thread: StoreThread) -> None:
        self._thread = thread

    async def read(self, conversation_id: int) -> ArchivedConversation:
        """Returns all branches of a conversation. Raises GoneError if it is deleted or was never there."""
        return await self._thread.read(lambda connection: _read(connection, conversation_id))

    async def add(self, archived: ArchivedConversation) -> Conversation | None:
        """Stores a conversation under new ids; None if one that is not deleted has all of its messages already."""
        return await self._thread.write(lambda connection, _: _add(connection, archived))

    async def search(self, query: str, limit: int) -> list[SearchHit]:
        """Returns messages that contain every word of `query`, newest first."""
        return await self._thread.read(lambda connection: _search(connection, query, limit))

    async def figures(self) -> StoreFigures:
        """Returns how much the database holds."""
        return await self._thread.read(figures.figures)

    async def problems(self) -> list[str]:
        """Returns what is damaged in the database; empty if it is intact."""
        return await self._thread.read(figures.problems)


def _read(connection: apsw.Connection, conversation_id: int) -> ArchivedConversation:
    found = conversations.get(connection, conversation_id)
    rows = messages.of(connection, conversation_id)
    numbers = {message.id: number for number, message in enumerate(rows, 1)}
    return ArchivedConversation(
        title=found.title,
        kind=found.kind,
        created_ms=found.created_ms,
        updated_ms=found.updated_ms,
        settings=found.settings,
        tip=numbers.get(found.tip_id or 0),
        messages=tuple(
            ArchivedMessage(
                replace(row, id=numbers[row.id], conversation_id=0, parent_id=numbers.get(row.parent_id or 0)),
                _sampling(connection, row.id),
                _trace(connection, row.id),
            )
            for row in rows
        ),
    )


def _add(connection: apsw.Connection, archived: ArchivedConversation) -> Conversation | None:
    if _is_stored(connection, archived):
        return None
    conversation_id = conversations.create(connection, archived.title, archived.kind, archived.settings)
    ids: dict[int, int] = {}
    for each in archived.messages:
        message = each.message
        parent_id = None if message.parent_id is None else ids[message.parent_id]
        row = replace(message, conversation_id=conversation_id, parent_id=parent_id)
        ids[message.id] = added = messages.add(connection, row, owner="").id
        if message.thinking:
            messages.set_thinking(connection, added, message.thinking)
        if message.generation:
            messages.add_generation(connection, added, message.generation, each.sampling)
        if each.trace:
            execute(
                connection,
                "INSERT INTO trace (message_id, format, n_tokens, n_bytes, data) VALUES (?, ?, ?, ?, ?)",
                (added, each.trace.format, each.trace.n_tokens, len(each.trace.data), each.trace.data),
            )
    tip_id = None if archived.tip is None else ids[archived.tip]
    conversations.change(connection, conversation_id, "tip_id", tip_id)
    conversations.change(connection, conversation_id, "created_ms", archived.created_ms)
    conversations.change(connection, conversation_id, "updated_ms", archived.updated_ms)
    return conversations.get(connection, conversation_id)


def _is_stored(connection: apsw.Connection, archived: ArchivedConversation) -> bool:
    sql = "SELECT id FROM conversation WHERE created_ms = ? AND deleted_ms IS NULL"
    same_age = [_integer(row) for row in execute(connection, sql, (archived.created_ms,))]
    wanted = {_key(each.message) for each in archived.messages}
    return any(wanted <= {_key(row) for row in messages.of(connection, row_id)} for row_id in same_age)


def _search(connection: apsw.Connection, query: str, limit: int) -> list[SearchHit]:
    search = conversations.parse(query)
    conditions = ["c.deleted_ms IS NULL"]
    if search.match:
        conditions.append("m.id IN (SELECT rowid FROM content_index WHERE content_index MATCH ?)")
    conditions += ["m.content LIKE ? ESCAPE '\\'"] * len(search.likes)
    sql = (
        "SELECT m.id FROM message AS m JOIN conversation AS c ON c.id = m.conversation_id"
        f" WHERE {' AND '.join(conditions)} ORDER BY m.id DESC LIMIT ?"
    )
    ids = [_integer(row) for row in execute(connection, sql, (*filter(None, [search.match]), *search.likes, limit))]
    found = [messages.get(connection, message_id) for message_id in ids]
    return [SearchHit(each, conversations.get(connection, each.conversation_id).title) for each in found]


def _integer(row: tuple[Any, ...]) -> int:
    return row[0]


def _key(message: Message) -> tuple[int, str, str]:
    return message.created_ms, message.role.value, message.content


def _sampling(connection: apsw.Connection, message_id: int) -> SamplingParams | None:
    """None too if a newer tokscope wrote parameters that this one does not know."""
    row = execute(connection, "SELECT params FROM generation WHERE message_id = ?", (message_id,)).fetchone()
    try:
        return msgspec.json.decode(row[0], type=SamplingParams) if row and row[0] else None
    except msgspec.MsgspecError:
        return None


def _trace(connection: apsw.Connection, message_id: int) -> PackedTrace | None:
    row = execute(connection, "SELECT format, n_tokens, data FROM trace WHERE message_id = ?", (message_id,)).fetchone()
    return PackedTrace(*row) if row else None
