"""`tok history show` and `search`: what a conversation says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.common.exit_codes import ExitCode
from app.domain.errors import UsageError

if TYPE_CHECKING:
    from app.domain.archive import ArchivedConversation, SearchHit
    from app.domain.conversation import Message

_N_AROUND = 40
"""Characters of a message that a search shows on each side of the first word found."""


def show(
    conversation_id: Annotated[int, typer.Argument(metavar="ID", help="Conversation number (`tok history`).")],
    code: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Print only the Nth code block of the conversation.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Show the current branch of a conversation.

    A terminal gets it in a pager. With --code, prints the text of one code block.
    """
    from app.archive.code_blocks import code_blocks
    from app.archive.markdown import as_markdown
    from app.cli.common import console
    from app.cli.history.reading import read_one
    from app.domain.text import safe_text

    found = read_one(conversation_id)
    if code is not None:
        blocks = [block for message in found.branch for block in code_blocks(message.content)]
        if code > len(blocks):
            raise UsageError(
                f"there is no code block {code}: conversation {conversation_id} has {len(blocks)}",
                hint=f"`tok history show {conversation_id}` shows the conversation",
            )
        if as_json:
            console.print_json({"id": conversation_id, "code": code, "text": blocks[code - 1]}, indent=2)
        else:
            console.write_out(safe_text(blocks[code - 1]))
    elif as_json:
        console.print_json(_shown(conversation_id, found), indent=2)
    elif console.stdout_is_terminal():
        console.page(safe_text(as_markdown(found)))
    else:
        console.write_out(safe_text(as_markdown(found)))
    return ExitCode.OK


def search(
    words: Annotated[list[str], typer.Argument(metavar="WORDS", help="Words that a message must contain.")],
    limit: Annotated[int, typer.Option("-n", min=1, max=100_000, metavar="N", help="Maximum number of rows.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> int:
    """Find messages by their words, on all branches. The newest come first."""
    import asyncio

    from app.cli.common import console
    from app.cli.trace.stored import opened_store, utc_time

    async def read() -> list[SearchHit]:
        async with opened_store() as store:
            return await store.archive.search(" ".join(words), limit) if store else []

    found = asyncio.run(read())
    rows = [(each, _excerpt(each.message.content, " ".join(words).split())) for each in found]
    if as_json:
        console.print_json(
            [
                {
                    "id": each.message.conversation_id,
                    "title": each.title,
                    "message": each.message.id,
                    "role": each.message.role.value,
                    "created": utc_time(each.message.created_ms),
                    "excerpt": excerpt,
                }
                for each, excerpt in rows
            ],
            indent=2,
        )
    elif rows:
        console.print_table(
            ("ID", "MESSAGE", "ROLE", "TEXT"),
            [
                (str(each.message.conversation_id), str(each.message.id), each.message.role.value, excerpt)
                for each, excerpt in rows
            ],
        )
    else:
        console.print_stderr("tok: no message contains these words")
    return ExitCode.OK


def _shown(conversation_id: int, found: ArchivedConversation) -> dict[str, Any]:
    from app.cli.trace.stored import utc_time

    def row(message: Message) -> dict[str, Any]:
        record = message.generation
        return {
            "role": message.role.value,
            "content": message.content,
            "created": utc_time(message.created_ms),
            "state": message.state.value,
            **({"model": record.model, "preset": record.preset, "seed": record.seed} if record else {}),
        }

    return {
        "id": conversation_id,
        "title": found.title,
        "kind": found.kind.value,
        "created": utc_time(found.created_ms),
        "updated": utc_time(found.updated_ms),
        "messages": [row(message) for message in found.branch],
    }


def _excerpt(content: str, words: list[str]) -> str:
    """The text around the first word; the beginning if only the index's folding finds it."""
    lowered = content.lower()
    at = max(min((lowered.find(word.lower()) for word in words), default=0), 0)
    start, end = max(at - _N_AROUND, 0), at + 2 * _N_AROUND
    middle = " ".join(content[start:end].split())
    return f"{'…' if start else ''}{middle}{'…' if end < len(content) else ''}"
