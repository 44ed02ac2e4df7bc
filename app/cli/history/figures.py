"""`tok history stats` and `check`: figures of the database, and whether it is intact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.common.exit_codes import ExitCode

if TYPE_CHECKING:
    from app.store.figures import StoreFigures

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def stats(as_json: AsJson = False) -> int:
    """Show counts and sizes of what is stored, and tokens by model."""
    import asyncio

    from app.cli.common import console
    from app.cli.trace.stored import opened_store
    from app.domain import units
    from app.store.figures import StoreFigures

    async def read() -> StoreFigures:
        async with opened_store() as store:
            return await store.archive.figures() if store else StoreFigures()

    found = asyncio.run(read())
    if as_json:
        import msgspec

        console.print_json(msgspec.to_builtins(found), indent=2)
        return ExitCode.OK
    rows = [
        ("conversations", str(found.n_conversations)),
        ("deleted", str(found.n_deleted)),
        ("messages", str(found.n_messages)),
        ("database", units.size(found.database_bytes)),
        ("traces", units.size(found.trace_bytes)),
    ]
    for name, value in rows:
        console.print_line(f"{name:<14}{value:>10}")
    if found.models:
        console.print_line()
        console.print_table(
            ("REPLIES", "PROMPT TOKENS", "GENERATED", "MODEL"),
            [(str(each.n_replies), str(each.n_prompt), str(each.n_generated), each.model) for each in found.models],
        )
    return ExitCode.OK


def check(as_json: AsJson = False) -> int:
    """Check the database for damage. Changes nothing."""
    import asyncio

    from app.cli.common import console
    from app.cli.trace.stored import opened_store

    async def read() -> list[str]:
        async with opened_store() as store:
            return await store.archive.problems() if store else []

    problems = asyncio.run(read())
    if as_json:
        console.print_json({"ok": not problems, "problems": problems}, indent=2)
    elif problems:
        for each in problems:
            console.print_line(each)
    else:
        console.print_line("database OK")
    return ExitCode.FAILED if problems else ExitCode.OK
