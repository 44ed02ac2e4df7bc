"""Opens the session that one question is asked in: a new conversation or the last one, kept or not."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from msgspec import Struct
from msgspec.structs import replace

from app.cli.common import console
from app.cli.common.options import AskOptions
from app.cli.common.setup import Setup
from app.client.engine import Engine, forget
from app.config.paths import database_file, ensure_dir
from app.domain.conversation import Conversation, ConversationKind, Message
from app.domain.errors import StoreError, UsageError
from app.session.erasing import erase_expired
from app.session.session import Session
from app.session.turn import TurnSettings
from app.store.sql import store_error
from app.store.store import Store


class TakenUp(Struct, frozen=True):
    """The conversation that a question continues, as it was before."""

    conversation: Conversation
    branch: list[Message]


async def take_up() -> TakenUp:
    """Reads the conversation that `-c` continues. Raises UsageError when there is none, StoreError."""
    path = database_file()
    none = UsageError("there is no conversation to continue", hint="ask without -c to start one")
    try:
        path.stat()
    except FileNotFoundError:
        raise none from None
    except OSError as error:
        raise store_error(path, error) from error
    store = await Store.open(path)
    for notice in store.take_notices():
        console.print_stderr(f"tok: {notice}")
    try:
        last = await store.last_conversation(ConversationKind.ASK)
        if last is None:
            raise none
        return TakenUp(last, await store.branch(last.id))
    finally:
        await store.close()


@asynccontextmanager
async def open_session(options: AskOptions, setup: Setup, engine: Engine) -> AsyncGenerator[Session]:
    """Opens the conversation that the setup is for, and closes the store behind it.

    Raises StoreError when it cannot be read. A store that cannot be opened for a new conversation is reported, and the
    answer is not kept.
    """
    store = await _open_store(options, setup)
    if store is not None and not store.read_only:
        with suppress(StoreError):  # what cannot be erased now is at the next start
            forget(engine, await erase_expired(store))
    try:
        kept = _session(options, setup, engine, store)
        if setup.continues is not None:
            await kept.open(setup.continues)
        if options.save and not (store and store.read_only):
            if options.model or options.preset or options.system is not None:
                await kept.keep(setup.settings)
                kept.settings = replace(kept.settings, preset=setup.preset)
            yield kept
        else:
            unkept = _session(options, setup, engine, None)
            unkept.branch = kept.branch
            yield unkept
    finally:
        if store is not None:
            await store.close()


def _session(options: AskOptions, setup: Setup, engine: Engine, store: Store | None) -> Session:
    reported = options.logprobs is not None or options.trace is not None
    settings = TurnSettings(
        preset=setup.preset,
        chat=setup.settings,
        model_name=setup.model.name,
        trace_top_k=options.n_top if reported or not store or not setup.traces.keep else setup.trace_top_k,
        trace_stages=options.trace_stages,
        speculate=setup.speculate,
        # What is kept of a reply holds what was sent for it; `--trace` asks for that itself.
        include_prompt=store is not None and setup.traces.keep,
    )
    return Session(engine, store, settings, kind=ConversationKind.ASK, traces=setup.traces)


async def _open_store(options: AskOptions, setup: Setup) -> Store | None:
    if not options.save and setup.continues is None:
        return None
    path = database_file()
    try:
        ensure_dir(path.parent)
        store = await Store.open(path)
    except (OSError, StoreError) as error:
        reported = error if isinstance(error, StoreError) else store_error(path, error)
        if setup.continues is not None:
            raise reported from error
        console.print_error(f"this answer is not saved: {reported}", reported.hint)
        return None
    for notice in store.take_notices():
        console.print_stderr(f"tok: {notice}")
    if store.read_only and options.save:
        console.print_error(f"this answer is not saved: {store.read_only}", store.read_only.hint)
    return store
