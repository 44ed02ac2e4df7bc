"""The rows of conversations and the search over them. Synchronous; called with an open transaction."""

from __future__ import annotations

import time
import unicodedata
from typing import Any

import apsw
import msgspec
from msgspec import Struct

from app.domain.conversation import ChatSettings, Conversation, ConversationKind
from app.domain.errors import GoneError
from app.store.sql import execute

_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")


class Search(Struct, frozen=True):
    """A search made ready: `match` for FTS5 (empty: none) and `likes` patterns with the escape sign `\\`."""

    match: str
    likes: tuple[str, ...]


def parse(query: str) -> Search:
    """Never fails, whatever the text."""
    words = query.replace("\0", " ").encode("utf-8", "replace").decode("utf-8").split()
    indexed = [word for word in words if _indexed(word)]
    match = " AND ".join('"' + word.replace('"', '""') + '"*' for word in indexed)
    return Search(match, tuple(f"%{_like_escape(word)}%" for word in words if not _indexed(word)))


def _indexed(word: str) -> bool:
    return word.isalnum() and not any(unicodedata.name(c, "").startswith(_UNSPACED) for c in word)


def _like_escape(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


_SELECT = """
    SELECT c.id, c.title, c.tip_id, c.created_ms, c.updated_ms,
           (SELECT count(*) FROM message AS m WHERE m.conversation_id = c.id), c.kind, c.settings, c.deleted_ms
    FROM conversation AS c
"""
# The newest is the one written to last. Ids decide, because a clock may jump.
_NEWEST_FIRST = "(SELECT max(m.id) FROM message AS m WHERE m.conversation_id = c.id) DESC, c.id DESC"


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def create(connection: apsw.Connection, title: str, kind: ConversationKind, settings: ChatSettings | None) -> int:
    """Returns the new id."""
    now = now_ms()
    execute(
        connection,
        "INSERT INTO conversation (title, kind, settings, created_ms, updated_ms) VALUES (?, ?, ?, ?, ?)",
        (title, kind.value, _encoded(settings), now, now),
    )
    return connection.last_insert_rowid()


def keep_settings(connection: apsw.Connection, conversation_id: int, settings: ChatSettings) -> None:
    """Keeps what answers it from now on. Raises StoreError when there is no such conversation."""
    change(connection, conversation_id, "settings", _encoded(settings))


def continue_as(connection: apsw.Connection, conversation_id: int, kind: ConversationKind) -> None:
    """Records that the chat or `tok ask` continues it; one that the chat continues is a chat from then on."""
    if kind is ConversationKind.CHAT:
        change(connection, conversation_id, "kind", kind.value)
        return
    newest = "(SELECT max(m.id) FROM message AS m WHERE m.conversation_id = conversation.id)"
    execute(connection, f"UPDATE conversation SET asked_id = {newest} WHERE id = ?", (conversation_id,))


def last_id(connection: apsw.Connection, kind: ConversationKind | None) -> int | None:
    """The conversation that was written to last; the last chat; or, for ASK, the one that `tok ask` wrote to last.

    The last may have become a chat; where `tok ask` never wrote to any, it is the last chat.
    """
    which, order = {
        None: ("true", _NEWEST_FIRST),
        ConversationKind.CHAT: ("c.kind = 'chat'", _NEWEST_FIRST),
        ConversationKind.ASK: ("c.asked_id IS NOT NULL", "c.asked_id DESC"),
    }[kind]
    sql = f"SELECT c.id FROM conversation AS c WHERE c.deleted_ms IS NULL AND {which} ORDER BY {order} LIMIT 1"
    row = execute(connection, sql).fetchone()
    if row is None and kind is ConversationKind.ASK:
        return last_id(connection, ConversationKind.CHAT)
    return row[0] if row else None


def get(connection: apsw.Connection, conversation_id: int) -> Conversation:
    """One conversation that is not deleted. Raises GoneError when there is none."""
    found = look_up(connection, conversation_id)
    if found is None or found.deleted_ms is not None:
        raise missing(conversation_id)
    return found


def look_up(connection: apsw.Connection, conversation_id: int) -> Conversation | None:
    """One conversation, deleted or not; None where it was never there or is erased."""
    row = execute(connection, f"{_SELECT} WHERE c.id = ?", (conversation_id,)).fetchone()
    return _conversation(row) if row else None


def change(connection: apsw.Connection, conversation_id: int, column: str, value: str | int | None) -> None:
    """Sets one column (a name of ours, never data). Raises GoneError when there is no such conversation."""
    execute(connection, f"UPDATE conversation SET {column} = ? WHERE id = ?", (value, conversation_id))
    if not connection.changes():
        raise missing(conversation_id)


def touch(connection: apsw.Connection, conversation_id: int, tip_id: int) -> None:
    """Moves the tip and the time of the last change. Raises GoneError when there is no such conversation."""
    change(connection, conversation_id, "tip_id", tip_id)
    change(connection, conversation_id, "updated_ms", now_ms())


def remove(connection: apsw.Connection, conversation_id: int) -> None:
    """Removes the row, its messages, their generations and what is indexed of them."""
    execute(connection, "DELETE FROM conversation WHERE id = ?", (conversation_id,))


def find(
    connection: apsw.Connection, query: str, limit: int, kind: ConversationKind | None = None
) -> list[Conversation]:
    """Those of a kind whose title, or one of whose messages, holds every word of `query`; newest first."""
    search = parse(query)
    conditions = ["c.deleted_ms IS NULL"]
    bindings: list[str | int] = []
    if kind:
        conditions.append("c.kind = ?")
        bindings.append(kind.value)
    if search.match or search.likes:
        title, content = ["true"], ["true"]
        if search.match:
            title.append("c.id IN (SELECT rowid FROM title_index WHERE title_index MATCH ?)")
            content.append("m.id IN (SELECT rowid FROM content_index WHERE content_index MATCH ?)")
        title += ["c.title LIKE ? ESCAPE '\\'"] * len(search.likes)
        content += ["m.content LIKE ? ESCAPE '\\'"] * len(search.likes)
        found = f"SELECT m.conversation_id FROM message AS m WHERE {' AND '.join(content)}"
        conditions.append(f"({' AND '.join(title)} OR c.id IN ({found}))")
        words = [*filter(None, [search.match]), *search.likes]
        bindings += words + words
    sql = f"{_SELECT} WHERE {' AND '.join(conditions)} ORDER BY {_NEWEST_FIRST} LIMIT ?"
    return [_conversation(row) for row in execute(connection, sql, (*bindings, limit))]


def deleted(connection: apsw.Connection, before_ms: int | None = None) -> list[Conversation]:
    """Those that are deleted and still there, the one deleted last first; `before_ms`: and were before that time."""
    condition = "c.deleted_ms IS NOT NULL" + ("" if before_ms is None else " AND c.deleted_ms < ?")
    bindings = () if before_ms is None else (before_ms,)
    sql = f"{_SELECT} WHERE {condition} ORDER BY c.deleted_ms DESC, c.id DESC"
    return [_conversation(row) for row in execute(connection, sql, bindings)]


def _conversation(row: tuple[Any, ...]) -> Conversation:
    conversation_id, title, tip_id, created_ms, updated_ms, n_messages, kind, settings, deleted_ms = row
    return Conversation(
        id=conversation_id,
        title=title,
        tip_id=tip_id,
        created_ms=created_ms,
        updated_ms=updated_ms,
        n_messages=n_messages,
        kind=ConversationKind(kind),
        settings=_decoded(settings),
        deleted_ms=deleted_ms,
    )


def _encoded(settings: ChatSettings | None) -> str | None:
    return msgspec.json.encode(settings).decode() if settings else None


def _decoded(text: str | None) -> ChatSettings | None:
    """None too where a newer tokscope wrote values that this one does not know."""
    try:
        return msgspec.json.decode(text, type=ChatSettings) if text else None
    except msgspec.MsgspecError:
        return None


def missing(conversation_id: int) -> GoneError:
    """The error that says so."""
    return GoneError(f"there is no conversation {conversation_id}", "It may have been deleted in another window.")
