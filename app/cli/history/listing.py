"""`tok history list`: stored conversations, newest first, and deleted ones that can be restored."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.common.exit_codes import ExitCode
from app.domain import units
from app.domain.errors import UsageError

if TYPE_CHECKING:
    from app.domain.conversation import Conversation


class KindFilter(Enum):
    """The names of `ConversationKind`, without what that imports."""

    CHAT = "chat"
    ASK = "ask"


def list_(
    search: Annotated[
        list[str] | None, typer.Argument(metavar="SEARCH", help="Words to find in titles and messages.")
    ] = None,
    kind: Annotated[
        KindFilter | None,
        typer.Option(help="Only chats, or only `tok ask` questions.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option("-n", min=1, max=100_000, metavar="N", help="Maximum number of rows.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
    deleted: Annotated[
        bool,
        typer.Option(
            "--deleted",
            help="List deleted conversations that can be restored.",
        ),
    ] = False,
) -> int:
    """List stored conversations, newest first."""
    if deleted:
        if search:
            raise UsageError("--deleted cannot be combined with SEARCH")
        return _list_deleted(as_json=as_json)
    import asyncio

    from app.cli.common import console
    from app.cli.common.console import print_table
    from app.cli.trace.stored import list_conversations, local_time, utc_time
    from app.domain.conversation import ConversationKind

    query = " ".join(search or ())
    found = asyncio.run(list_conversations(query, limit + 1, ConversationKind(kind.value) if kind else None))
    if as_json:
        console.print_json(
            [
                {
                    "id": conversation.id,
                    "title": conversation.title,
                    "created": utc_time(conversation.created_ms),
                    "updated": utc_time(conversation.updated_ms),
                    "n_messages": conversation.n_messages,
                    "trace_bytes": n_bytes,
                    "kind": conversation.kind.value,
                }
                for conversation, n_bytes in found[:limit]
            ],
            indent=2,
        )
    elif found:
        print_table(
            ("ID", "WHEN", "KIND", "MESSAGES", "TRACES", "TITLE"),
            [
                (
                    str(conversation.id),
                    local_time(conversation.updated_ms),
                    conversation.kind.value,
                    str(conversation.n_messages),
                    units.size(n_bytes),
                    conversation.title,
                )
                for conversation, n_bytes in found[:limit]
            ],
        )
    else:
        console.print_stderr(
            "tok: no conversation matches"
            if query
            else "tok: no conversation of this kind"
            if kind
            else "tok: no conversations yet"
        )
    if len(found) > limit:
        console.print_stderr(f"tok: showing the newest {limit}; use -n for more")
    return ExitCode.OK


def _list_deleted(*, as_json: bool) -> int:
    import asyncio

    from app.cli.common import console
    from app.cli.common.console import print_table
    from app.cli.trace.stored import local_time, opened_store, utc_time
    from app.store.store import UNDO_MS

    async def read() -> list[Conversation]:
        async with opened_store() as store:
            return await store.deleted() if store else []

    found = asyncio.run(read())
    if as_json:
        console.print_json(
            [
                {
                    "id": each.id,
                    "title": each.title,
                    "n_messages": each.n_messages,
                    "deleted": utc_time(each.deleted_ms or 0),
                    "erased_after": utc_time((each.deleted_ms or 0) + UNDO_MS),
                }
                for each in found
            ],
            indent=2,
        )
    elif found:
        rows = [
            (
                str(each.id),
                local_time(each.deleted_ms or 0),
                local_time((each.deleted_ms or 0) + UNDO_MS),
                str(each.n_messages),
                each.title,
            )
            for each in found
        ]
        print_table(("ID", "DELETED", "ERASED AFTER", "MESSAGES", "TITLE"), rows)
    else:
        console.print_stderr("tok: no deleted conversation can be restored")
    return ExitCode.OK
