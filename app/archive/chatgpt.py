"""ChatGPT's `conversations.json`: an array of trees of nodes, of which text messages are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from app.archive.checks import MAX_MS, NotUnderstoodError, check_tree
from app.domain.archive import ArchivedConversation, ArchivedMessage, ImportedFile
from app.domain.conversation import Message, Role

_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT}


def is_chatgpt(document: list[Any]) -> bool:
    """Whether the array looks like ChatGPT's."""
    return all(isinstance(each, dict) and "mapping" in each for each in document[:3])


def read_chatgpt(document: Sequence[Any]) -> ImportedFile:
    """Reads all branches. What has no text, and conversations that are damaged, are counted in `skipped`."""
    conversations: list[ArchivedConversation] = []
    skipped: dict[str, int] = {}
    for each in document:
        try:
            names, found = _conversation(each)
        except (NotUnderstoodError, LookupError, TypeError, ValueError, AttributeError, OverflowError):
            names, found = ["damaged conversation"], None
        if found and found.messages:
            conversations.append(found)
        elif found:
            names = [*names, "conversation without text"]
        for name in names:
            skipped[name] = skipped.get(name, 0) + 1
    return ImportedFile(tuple(conversations), skipped)


def _conversation(talk: dict[str, Any]) -> tuple[list[str], ArchivedConversation]:
    """Returns the names of what was skipped, and the conversation."""
    mapping: dict[str, dict[str, Any]] = talk["mapping"]
    created = _ms(talk.get("create_time"), 0)
    numbers: dict[str, int | None] = {}
    rows: list[ArchivedMessage] = []
    skipped: list[str] = []
    for key, parent in _from_the_roots(mapping):
        above = None if parent is None else numbers[parent]
        source: dict[str, Any] = mapping[key].get("message") or {}
        role, text, reason = _text(source)
        if role is None:
            numbers[key] = above
            skipped += [reason] if reason else []
            continue
        numbers[key] = len(rows) + 1
        skipped += [reason] if reason else []
        ms = _ms(source.get("create_time"), created)
        rows.append(
            ArchivedMessage(
                Message(id=len(rows) + 1, conversation_id=0, parent_id=above, role=role, content=text, created_ms=ms)
            )
        )
    tip = numbers.get(str(talk.get("current_node"))) or (len(rows) or None)
    found = ArchivedConversation(
        title=str(talk.get("title") or ""),
        created_ms=created,
        updated_ms=_ms(talk.get("update_time"), created),
        tip=tip,
        messages=tuple(rows),
    )
    check_tree(found)
    return skipped, found


def _from_the_roots(mapping: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str | None]]:
    """Yields each node with its parent, parents first. A loop without a root is never reached."""
    children: dict[str | None, list[str]] = {}
    for key, node in mapping.items():
        parent = node.get("parent")
        children.setdefault(parent if parent in mapping else None, []).append(key)
    waiting: list[tuple[str, str | None]] = [(key, None) for key in reversed(children.get(None, []))]
    while waiting:
        key, parent = waiting.pop()
        yield key, parent
        waiting += [(child, key) for child in reversed(children.get(key, []))]


def _text(source: dict[str, Any]) -> tuple[Role | None, str, str]:
    """Returns role, text and what was not understood (empty if nothing is lost); no role if there is no text."""
    content: dict[str, Any] = source.get("content") or {}
    kind = str(content.get("content_type", "text"))
    writer: dict[str, Any] = source.get("author") or {}
    author = str(writer.get("role", ""))
    parts = cast("list[Any]", content.get("parts") or [])
    text = "\n\n".join(part for part in parts if isinstance(part, str)).strip()
    role = _ROLES.get(author)
    if not source or (not text and kind == "text"):
        return None, "", ""
    if role is None:
        return None, "", f"{author} message"
    if not text or kind not in ("text", "multimodal_text"):
        return None, "", f"{kind} of {author}"
    return role, text, "" if all(isinstance(part, str) for part in parts) else "part without text"


def _ms(seconds: object, default: int) -> int:
    return min(int(float(seconds) * 1000), MAX_MS) if isinstance(seconds, (int, float)) else default
