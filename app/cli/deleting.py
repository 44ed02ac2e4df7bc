"""`tok history rm`, `restore`, `purge`: deletes conversations, undoes that, and erases them for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.exit_codes import ExitCode
from app.domain.errors import UsageError

if TYPE_CHECKING:
    from app.cli.launch import EngineLauncher
    from app.domain.conversation import Conversation
    from app.store.store import Store

Ids = Annotated[list[int], typer.Argument(metavar="ID...", help="Conversations, as `tok history` numbers them.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON array of what was changed.")]


def rm(ids: Ids, as_json: AsJson = False) -> int:
    """Delete conversations; `restore` undoes it for 24 hours."""
    from app.cli import console
    from app.store.store import UNDO_MS

    changed = _run(ids, deleted=False, work="delete")
    _report(changed, "deleted", as_json)
    hours = UNDO_MS // 3_600_000
    console.talk(f"tok: `tok history restore ID` brings back within {hours} hours what was deleted")
    return ExitCode.OK


def restore(ids: Ids, as_json: AsJson = False) -> int:
    """Bring deleted conversations back."""
    _report(_run(ids, deleted=True, work="restore"), "restored", as_json)
    return ExitCode.OK


def purge(
    context: typer.Context,
    ids: Annotated[
        list[int] | None, typer.Argument(metavar="[ID]...", help="Deleted conversations; without any, all of them.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Erase deleted conversations now.

    Their text goes from the database, its search index, its log and its backups, with the traces, the saved states of
    the engine and what was copied to a file.
    """
    from app.cli import console
    from app.store.files import damaged_copies

    purged = _run(ids, deleted=True, work="purge", launcher=context.obj)
    _report(purged, "erased", as_json)
    if not purged:
        console.talk("tok: there is nothing deleted to erase")
    from app.config.paths import database_file

    for path in damaged_copies(database_file()) if purged else ():
        console.talk(f"tok: {path} is a damaged file that was kept, and may hold their text: delete it when you can")
    return ExitCode.OK


def list_deleted(*, as_json: bool) -> int:
    """Prints what can be restored."""
    import asyncio

    from app.cli import console
    from app.cli.tables import print_table
    from app.cli.tracing.stored import local_time, opened_store, utc_time
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
        console.talk("tok: no deleted conversation can be restored")
    return ExitCode.OK


def _run(
    ids: list[int] | None, *, deleted: bool, work: str, launcher: EngineLauncher | None = None
) -> list[Conversation]:
    """Does `work` with conversations that are, or are not, deleted; returns them. With a mistake nothing is done."""
    import asyncio

    from app.cli.tracing.stored import opened_store

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
    from app.session.erasing import erase

    if not ids:
        return
    await erase(store, ids)
    if launcher:
        await launcher.forget(ids)


def _missing(conversation_id: int, *, deleted: bool, there: bool = False) -> UsageError:
    if deleted and there:
        return UsageError(
            f"conversation {conversation_id} is not deleted", hint=f"`tok history rm {conversation_id}` deletes it"
        )
    if there:
        return UsageError(
            f"conversation {conversation_id} is deleted already", hint="`tok history --deleted` lists what is"
        )
    which = "deleted conversation" if deleted else "conversation"
    listing = "tok history --deleted" if deleted else "tok history"
    return UsageError(f"there is no {which} {conversation_id}", hint=f"`{listing}` lists them")


def _report(changed: list[Conversation], what: str, as_json: bool) -> None:
    from app.cli import console
    from app.domain.text import one_line

    if as_json:
        console.print_json([{"id": each.id, "title": each.title} for each in changed], indent=2)
        return
    for each in changed:
        console.talk(f"tok: {what} {each.id}  {one_line(each.title)}")
