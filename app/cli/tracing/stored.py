"""Reads stored conversations and their traces for a command; the database is not made where there is none."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from msgspec import Struct

from app.cli import console
from app.config.paths import database_file
from app.domain.conversation import Conversation, Message, Role
from app.domain.errors import UsageError
from app.domain.reply_trace import ReplyTrace
from app.store.store import Store


class TracedMessage(Struct, frozen=True):
    """A message, with how it came about where that is kept."""

    message: Message
    trace: ReplyTrace | None = None


@asynccontextmanager
async def _store() -> AsyncGenerator[Store | None]:
    path = database_file()
    if not path.exists():
        yield None
        return
    store = await Store.open(path)
    try:
        for notice in store.notices:
            console.talk(f"tok: {notice}")
        yield store
    finally:
        await store.close()


async def list_conversations(query: str, limit: int) -> list[tuple[Conversation, int]]:
    """The newest conversations that hold the words of `query`, each with the bytes of its traces. Raises StoreError."""
    async with _store() as store:
        found = await store.conversations(query, limit) if store else []
        return [(each, await store.trace_bytes(each.id)) for each in found] if store else []


async def load_conversation(conversation_id: int) -> tuple[str, list[TracedMessage]]:
    """The title of a conversation, and the messages of the branch that it shows. Raises UsageError or StoreError."""
    async with _store() as store:
        if store is None:
            raise _missing(f"conversation {conversation_id}")
        conversation = await store.conversation(conversation_id)
        branch = await store.branch(conversation_id)
        return conversation.title, [TracedMessage(each, await store.trace(each.id)) for each in branch]


async def load_reply(message_id: int) -> tuple[str, list[TracedMessage]]:
    """The title of a reply's conversation, and the reply behind what it answers. Raises UsageError or StoreError."""
    async with _store() as store:
        if store is None:
            raise _missing(f"message {message_id}")
        reply = await store.message(message_id)
        if reply.role is not Role.ASSISTANT:
            raise UsageError(f"message {message_id} is no reply", hint="`tok export trace ID --json` tells the ids")
        conversation = await store.conversation(reply.conversation_id)
        asked = [await store.message(reply.parent_id)] if reply.parent_id is not None else []
        answered = TracedMessage(reply, await store.trace(reply.id))
        return conversation.title, [*map(TracedMessage, asked), answered]


def _missing(what: str) -> UsageError:
    return UsageError(f"there is no {what}: nothing is stored yet", hint="`tok history` lists the conversations")


def utc_time(ms: int) -> str:
    """A stored time for programs."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


def local_time(ms: int) -> str:
    """A stored time for people, where they are."""
    return f"{datetime.fromtimestamp(ms / 1000).astimezone():%Y-%m-%d %H:%M}"


def size(n_bytes: int) -> str:
    """A size for people; a dash where there is nothing."""
    if not n_bytes:
        return "–"
    return f"{max(1, round(n_bytes / 1024))} KiB" if n_bytes < 1 << 20 else f"{n_bytes / (1 << 20):.1f} MiB"
