"""`tok export`: what is stored, as a file for others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.common.exit_codes import ExitCode
from app.cli.common.groups import SectionedCommand
from app.domain.errors import UsageError

commands = typer.Typer(name="export", help="Export stored conversations.", rich_markup_mode=None)


@commands.command(cls=SectionedCommand)
def trace(
    source: Annotated[str, typer.Argument(metavar="ID", help="Conversation number (`tok history`), or a trace file.")],
    message: Annotated[
        bool, typer.Option("--message", help="Treat ID as the number of one reply (an `id` in --json output).")
    ] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write one HTML page that needs no network.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it exists.")] = False,
) -> int:
    """Export replies token by token. The page shows what the inspector shows."""
    if (html is None) != as_json:
        raise UsageError("no output given: use --html FILE or --json")
    import asyncio

    from app.cli.common import console
    from app.cli.trace.document import document_of, recorded
    from app.cli.trace.reader import read_trace
    from app.cli.trace.stored import load_conversation, load_reply
    from app.domain.text import one_line

    if source.isdecimal():
        title, messages = asyncio.run((load_reply if message else load_conversation)(int(source)))
    elif message:
        raise UsageError(f"--message needs the number of a reply, got {source!r}")
    elif not Path(source).exists():
        raise UsageError(
            f"there is no file {one_line(source)}",
            hint="give a number from `tok history` or a file from `tok trace -o`",
        )
    else:
        title, messages = recorded(read_trace(Path(source), partial=True))
    if not any(each.trace for each in messages):
        raise UsageError(
            "no trace was stored for it", hint="set `keep = true` under [trace] to store traces from now on"
        )
    if html is None:
        console.print_json(document_of(title, messages), indent=2)
        return ExitCode.OK
    from app.cli.trace.document import render
    from app.cli.trace.file import opened

    with opened(html, overwrite=overwrite) as sink:
        sink.write(render(title, messages))
    console.print_stderr(f"tok: written to {sink.name}")
    return ExitCode.OK
