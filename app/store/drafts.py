"""The rows of drafts: what each instance of the program holds unsent. Synchronous, as `app.store.conversations`.

A draft outlives its instance, whatever ended that, until another one takes it.
"""

from __future__ import annotations

from collections.abc import Collection

import apsw

from app.store.sql import execute


def keep(connection: apsw.Connection, owner: str, text: str) -> None:
    """Stores `text` in place of what `owner` had stored before; empty text removes it."""
    execute(connection, "DELETE FROM draft WHERE owner = ?", (owner,))
    if text:
        content = text.encode("utf-8", "replace").decode("utf-8")
        execute(connection, "INSERT INTO draft (owner, content) VALUES (?, ?)", (owner, content))


def take(connection: apsw.Connection, owner: str, live: Collection[str]) -> str:
    """Returns the drafts of instances that are not `live`, the oldest first; from now on they are `owner`'s."""
    drafts = {
        str(each): str(text) for each, text in execute(connection, "SELECT owner, content FROM draft ORDER BY id")
    }
    own = drafts.pop(owner, "")
    taken = {each: text for each, text in drafts.items() if each not in live}
    if not taken:
        return ""
    for each in taken:
        keep(connection, each, "")
    keep(connection, owner, "\n".join(filter(None, [*taken.values(), own])))
    return "\n".join(taken.values())


def forget(connection: apsw.Connection, conversation_id: int, live: Collection[str]) -> None:
    """Removes the drafts of instances that are not `live` which hold a message of this conversation."""
    marks = ", ".join("?" * len(live))
    execute(
        connection,
        f"DELETE FROM draft WHERE owner NOT IN ({marks}) AND EXISTS (SELECT 1 FROM message WHERE conversation_id = ?"
        " AND length(content) >= 8 AND instr(draft.content, content))",
        (*live, conversation_id),
    )
