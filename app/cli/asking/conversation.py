"""Opens the session that one question is asked in: a new conversation or the last one, kept or not."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from app.cli import console
from app.cli.asking.options import AskOptions
from app.cli.asking.setup import Setup
from app.client.engine import Engine
from app.config.paths import database_file, ensure_dir
from app.domain.errors import StoreError, UsageError
from app.session.session import Session
from app.store.errors import store_error
from app.store.store import Store


@asynccontextmanager
async def open_session(options: AskOptions, setup: Setup, engine: Engine) -> AsyncGenerator[Session]:
    """Opens the conversation that the options ask for, and closes the store behind it.

    Raises UsageError when there is none to continue, StoreError when it cannot be read. A store that cannot be opened
    for a new conversation is told of, and the answer is not kept.
    """
    store = await _open_store(options)
    try:
        kept = _session(options, setup, engine, store)
        if options.continue_last and not await kept.open_last():
            raise UsageError("there is no conversation to continue", hint="ask without -c to begin one")
        if options.save and not (store and store.read_only):
            yield kept
        else:
            unkept = _session(options, setup, engine, None)
            unkept.branch = kept.branch
            yield unkept
    finally:
        if store is not None:
            await store.close()


def _session(options: AskOptions, setup: Setup, engine: Engine, store: Store | None) -> Session:
    told = options.logprobs is not None or options.trace is not None
    session = Session(
        engine,
        store,
        preset=setup.preset,
        trace_top_k=options.n_top if told or not store or not setup.traces.keep else setup.trace_top_k,
        model_name=setup.model.name,
        traces=setup.traces,
    )
    # What is kept of a reply holds what was sent for it; `--trace` asks for that itself.
    session.tell_prompt = store is not None and setup.traces.keep
    session.trace_stages, session.speculate = options.trace_stages, setup.speculate
    return session


async def _open_store(options: AskOptions) -> Store | None:
    if not options.save and not options.continue_last:
        return None
    path = database_file()
    try:
        ensure_dir(path.parent)
        store = await Store.open(path)
    except (OSError, StoreError) as error:
        told = error if isinstance(error, StoreError) else store_error(path, error)
        if options.continue_last:
            raise told from error
        console.print_error(f"this answer is not kept: {told}", told.hint)
        return None
    for notice in store.notices:
        console.talk(f"tok: {notice}")
    if store.read_only and options.save:
        console.print_error(f"this answer is not kept: {store.read_only}", store.read_only.hint)
    return store
