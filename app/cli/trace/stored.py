"""Reads stored conversations and their traces for a command; a missing database is not created."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from msgspec import Struct

from app.cli.common import console
from app.config.paths import database_file
from app.domain.conversation import Conversation, ConversationKind, Message, Role
from app.domain.errors import StoreError, UsageError
from app.domain.trace import ReplyTrace
from app.store.store import Store

_N_NAMED = 12
"""Replies that a hint names."""


class TracedMessage(Struct, frozen=True):
    """A message, with its trace if one is stored."""

    message: Message
    trace: ReplyTrace | None = None


@asynccontextmanager
async def opened_store() -> AsyncGenerator[Store | None]:
    """The store; None where nothing was ever stored. Raises StoreError."""
    path = database_file()
    try:
        path.stat()
    except FileNotFoundError:
        yield None
        return
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be opened ({error.strerror})", "Set TOKSCOPE_DATA_DIR to a readable folder."
        ) from error
    store = await Store.open(path)
    try:
        for notice in store.take_notices():
            console.print_stderr(f"tok: {notice}")
        if store.read_only:
            console.print_stderr(f"tok: {store.read_only}: it is only read")
        yield store
    finally:
        await store.close()


async def list_conversations(
    query: str, limit: int, kind: ConversationKind | None = None
) -> list[tuple[Conversation, int]]:
    """The newest conversations of a kind that hold the words of `query`, each with the bytes of its traces.

    Raises StoreError.
    """
    async with opened_store() as store:
        found = await store.conversations(query, limit, kind) if store else []
        return [(each, await store.trace_bytes(each.id)) for each in found] if store else []


async def load_conversation(conversation_id: int) -> tuple[str, list[TracedMessage]]:
    """The title of a conversation, and the messages of the branch that it shows. Raises UsageError or StoreError."""
    async with opened_store() as store:
        if store is None:
            raise _missing(f"conversation {conversation_id}")
        conversation = await store.conversation(conversation_id)
        branch = await store.branch(conversation_id)
        return conversation.title, [TracedMessage(each, await store.trace(each.id)) for each in branch]


async def load_reply(message_id: int) -> tuple[str, list[TracedMessage]]:
    """The title of a reply's conversation, and the reply behind what it answers. Raises UsageError or StoreError."""
    async with opened_store() as store:
        if store is None:
            raise _missing(f"message {message_id}")
        try:
            reply = await store.message(message_id)
        except StoreError as error:
            last = await store.last_conversation()
            raise StoreError(str(error), await _numbers(store, last.id) if last else error.hint) from error
        if reply.role is not Role.ASSISTANT:
            raise UsageError(f"message {message_id} is not a reply", hint=await _numbers(store, reply.conversation_id))
        conversation = await store.conversation(reply.conversation_id)
        asked = [await store.message(reply.parent_id)] if reply.parent_id is not None else []
        answered = TracedMessage(reply, await store.trace(reply.id))
        return conversation.title, [*map(TracedMessage, asked), answered]


async def _numbers(store: Store, conversation_id: int) -> str:
    """What the replies of a conversation are called, the last of them where they are many."""
    replies = [str(each.id) for each in await store.messages(conversation_id) if each.role is Role.ASSISTANT]
    named = f"the number{'s' if len(replies) > 1 else ''} {'… ' if len(replies) > _N_NAMED else ''}"
    numbers = f"{named}{', '.join(replies[-_N_NAMED:])}" if replies else "no replies"
    elsewhere = "`tok export trace ID --json` lists those of another conversation as `id`"
    return f"the replies of conversation {conversation_id} have {numbers}: {elsewhere}"


def _missing(what: str) -> UsageError:
    return UsageError(f"there is no {what}: nothing is stored yet", hint="`tok history` lists the conversations")


def utc_time(ms: int) -> str:
    """A stored time for programs."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


def local_time(ms: int) -> str:
    """A stored time for people, where they are."""
    return f"{datetime.fromtimestamp(ms / 1000).astimezone():%Y-%m-%d %H:%M}"
