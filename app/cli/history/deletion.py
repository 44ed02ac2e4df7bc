"""`tok history rm`, `restore` and `purge`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.common.exit_codes import ExitCode
from app.domain.errors import UsageError

if TYPE_CHECKING:
    from app.cli.common.launching import EngineLauncher
    from app.domain.conversation import Conversation
    from app.store.store import Store

Ids = Annotated[list[int], typer.Argument(metavar="ID", help="Conversation numbers (`tok history`).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the changed conversations as a JSON array.")]


def rm(ids: Ids, as_json: AsJson = False) -> int:
    """Delete conversations. `restore` undoes it within 24 hours."""
    from app.cli.common import console
    from app.store.store import UNDO_MS

    changed = _run(ids, deleted=False, work="delete")
    _report(changed, "deleted", as_json)
    hours = UNDO_MS // 3_600_000
    console.print_stderr(f"tok: `tok history restore ID` restores it within {hours} hours")
    return ExitCode.OK


def restore(ids: Ids, as_json: AsJson = False) -> int:
    """Restore deleted conversations."""
    _report(_run(ids, deleted=True, work="restore"), "restored", as_json)
    return ExitCode.OK


def purge(
    context: typer.Context,
    ids: Annotated[
        list[int] | None, typer.Argument(metavar="ID", help="Numbers of deleted conversations; all if none is given.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Erase deleted conversations now.

    Removes their text from the database, its search index, log and backups, and deletes their traces, the saved
    states of the engine, the file with the last copied text, and files of unsaved messages and damaged databases
    that contain their text.
    """
    from app.cli.common import console
    from app.store.files import damaged_copies

    purged = _run(ids, deleted=True, work="purge", launcher=context.obj)
    _report(purged, "erased", as_json)
    if not purged:
        console.print_stderr("tok: no deleted conversation to erase")
    from app.config.paths import database_file

    for path in damaged_copies(database_file()) if purged else ():
        console.print_stderr(
            f"tok: {path} is a damaged database that may contain their text; delete it when you no longer need it"
        )
    return ExitCode.OK


def _run(
    ids: list[int] | None, *, deleted: bool, work: str, launcher: EngineLauncher | None = None
) -> list[Conversation]:
    """Does `work` with conversations that are, or are not, deleted; returns them. With a mistake nothing is done."""
    import asyncio

    from app.cli.trace.stored import opened_store

    async def run() -> list[Conversation]:
        async with opened_store() as store:
            if store is None:
                if ids:
                    raise _missing(ids[0], deleted=deleted)
                return []
            chosen = await _chosen(store, ids, deleted=deleted)
            if work == "purge":
                await _erase(store, [each.id for each in chosen], launcher)
            else:
                for each in chosen:
                    await (store.delete(each.id) if work == "delete" else store.restore(each.id))
            return chosen

    return asyncio.run(run())


async def _chosen(store: Store, ids: list[int] | None, *, deleted: bool) -> list[Conversation]:
    if ids is None:
        return await store.deleted()
    chosen: list[Conversation] = []
    for conversation_id in dict.fromkeys(ids):
        found = await store.look_up(conversation_id)
        if found is None or (found.deleted_ms is not None) is not deleted:
            raise _missing(conversation_id, deleted=deleted, there=found is not None)
        chosen.append(found)
    return chosen


async def _erase(store: Store, ids: list[int], launcher: EngineLauncher | None) -> None:
    from app.cli.common import console
    from app.session.erasing import erase

    if not ids:
        return
    for path in await erase(store, ids):
        console.print_stderr(f"tok: deleted {path}: it contained their text")
    if launcher:
        await launcher.forget(ids)


def _missing(conversation_id: int, *, deleted: bool, there: bool = False) -> UsageError:
    if deleted and there:
        return UsageError(
            f"conversation {conversation_id} is not deleted", hint=f"`tok history rm {conversation_id}` deletes it"
        )
    if there:
        return UsageError(
            f"conversation {conversation_id} is already deleted",
            hint="`tok history --deleted` lists deleted conversations",
        )
    which = "deleted conversation" if deleted else "conversation"
    listing = "tok history --deleted" if deleted else "tok history"
    return UsageError(f"there is no {which} {conversation_id}", hint=f"`{listing}` lists them")


def _report(changed: list[Conversation], what: str, as_json: bool) -> None:
    from app.cli.common import console
    from app.domain.text import one_line

    if as_json:
        console.print_json([{"id": each.id, "title": each.title} for each in changed], indent=2)
        return
    for each in changed:
        console.print_stderr(f"tok: {what} {each.id}  {one_line(each.title)}")
