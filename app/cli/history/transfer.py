"""`tok history export` and `import`."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.common.exit_codes import ExitCode
from app.domain.errors import UsageError

if TYPE_CHECKING:
    from app.domain.archive import ArchivedConversation
    from app.domain.conversation import Conversation


class ExportFormat(Enum):
    """Formats of `tok history export`."""

    MD = "md"
    JSON = "json"
    HTML = "html"


def export(
    ids: Annotated[
        list[int] | None, typer.Argument(metavar="[ID]...", help="Conversation numbers (`tok history`).")
    ] = None,
    *,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="PATH", help="File to write; `-` is stdout."),
    ],
    every: Annotated[bool, typer.Option("--all", help="Export all conversations that are not deleted.")] = False,
    format_: Annotated[
        ExportFormat | None,
        typer.Option("--format", help="Default: by the ending of PATH, otherwise md.", show_default=False),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace PATH if it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was exported as a JSON object.")] = False,
) -> int:
    """Write conversations to a file.

    json keeps everything: all branches, settings and traces; `tok history import` reads it. md and html contain the
    current branch of each conversation; the html page needs no network.
    """
    if bool(ids) == every:
        raise UsageError("give conversation numbers, or --all")
    if as_json and str(output) == "-":
        raise UsageError("--json cannot be combined with -o -")
    from app.cli.common import console
    from app.cli.history.reading import read_many
    from app.cli.trace.file import opened

    chosen = format_ or _by_ending(output)
    found = read_many(None if every else list(dict.fromkeys(ids or ())))
    with opened(output, overwrite=overwrite) as sink:
        sink.write(_written(list(found.values()), chosen).encode("utf-8", "replace"))
    if as_json:
        console.print_json({"path": str(output), "format": chosen.value, "ids": list(found)}, indent=2)
    else:
        console.print_stderr(f"tok: {len(found)} conversations written to {sink.name}")
    return ExitCode.OK


def import_(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="File to read.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print what was imported as a JSON object.")] = False,
) -> int:
    """Add the conversations of a file.

    Reads files of `tok history export --format json`, ChatGPT's conversations.json with all branches, and llm's
    logs.db. A conversation that is stored already is not added again.
    """
    import asyncio

    from app.archive.reading import read_archive
    from app.cli.common import console
    from app.config.paths import data_dir, database_file, ensure_dir
    from app.domain.text import one_line
    from app.store.store import Store

    archive = read_archive(path)

    async def add() -> list[Conversation]:
        ensure_dir(data_dir())
        store = await Store.open(database_file())
        try:
            for notice in store.take_notices():
                console.print_stderr(f"tok: {notice}")
            added = [await store.archive.add(each) for each in archive.conversations]
        finally:
            await store.close()
        return [each for each in added if each]

    added = asyncio.run(add())
    n_stored = len(archive.conversations) - len(added)
    if as_json:
        console.print_json(
            {
                "added": [{"id": each.id, "title": each.title} for each in added],
                "n_stored": n_stored,
                "skipped": archive.skipped,
            },
            indent=2,
        )
        return ExitCode.OK
    for each in added:
        console.print_stderr(f"tok: added {each.id}  {one_line(each.title)}")
    if n_stored:
        console.print_stderr(f"tok: {n_stored} were stored already")
    for name, count in archive.skipped.items():
        console.print_stderr(f"tok: skipped {count} × {one_line(name)}")
    if not added and not n_stored:
        console.print_stderr("tok: the file contains no conversation")
    return ExitCode.OK


def _by_ending(path: Path) -> ExportFormat:
    ending = path.suffix.lower().lstrip(".")
    return next((each for each in ExportFormat if each.value == ending), ExportFormat.MD)


def _written(conversations: list[ArchivedConversation], chosen: ExportFormat) -> str:
    from app.archive.document import as_document
    from app.archive.html import as_html
    from app.archive.markdown import as_markdown
    from app.domain.text import safe_json, safe_text

    if chosen is ExportFormat.JSON:
        document = json.dumps(as_document(conversations), ensure_ascii=False, indent=1, allow_nan=False)
        return safe_json(document) + "\n"
    if chosen is ExportFormat.HTML:
        return as_html(conversations)
    return safe_text("\n".join(map(as_markdown, conversations)))
