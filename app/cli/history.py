"""`tok history`: the stored conversations, and what their traces take."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from app.cli.default_group import DefaultGroup
from app.cli.deleting import list_deleted, purge, restore, rm
from app.cli.exit_codes import ExitCode
from app.cli.sections import SectionedCommand
from app.domain.errors import UsageError

commands = typer.Typer(
    name="history",
    help="List, delete, restore and erase stored conversations. Without a command's name it lists them.",
    cls=DefaultGroup,
    rich_markup_mode=None,
)


class Kind(Enum):
    """The names of `ConversationKind`, without what that imports."""

    CHAT = "chat"
    ASK = "ask"


def history(
    search: Annotated[
        list[str] | None, typer.Argument(metavar="SEARCH", help="Words that the title or one message holds.")
    ] = None,
    kind: Annotated[
        Kind | None,
        typer.Option(help="Only chats, or only questions of `tok ask` that no chat went on with.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option("-n", min=1, max=100_000, metavar="N", help="At most this many.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
    deleted: Annotated[bool, typer.Option("--deleted", help="List what was deleted and can be restored.")] = False,
) -> int:
    """List stored conversations, the newest first; `tok export trace ID` makes a page of one."""
    if deleted:
        if search:
            raise UsageError("--deleted lists everything that was deleted, and takes no words")
        return list_deleted(as_json=as_json)
    import asyncio

    from app.cli import console
    from app.cli.tables import print_table
    from app.cli.tracing.stored import list_conversations, local_time, size, utc_time
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
                    size(n_bytes),
                    conversation.title,
                )
                for conversation, n_bytes in found[:limit]
            ],
        )
    else:
        console.talk(
            "tok: no conversation holds that"
            if query
            else "tok: there is none of that kind"
            if kind
            else "tok: no conversation is stored yet"
        )
    if len(found) > limit:
        console.talk(f"tok: the newest {limit} of them; -n shows more")
    return ExitCode.OK


commands.command("list", cls=SectionedCommand)(history)
commands.command(cls=SectionedCommand)(rm)
commands.command(cls=SectionedCommand)(restore)
commands.command(cls=SectionedCommand)(purge)
