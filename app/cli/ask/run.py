"""Asks one question: load, send, report. The engine's process is already starting when this is imported."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import aclosing, contextmanager

import msgspec

from app.cli.ask.answers import Asking, ManyAnswers, OneAnswer
from app.cli.ask.conversation import open_session, take_up
from app.cli.common import console
from app.cli.common.engine import load_model
from app.cli.common.inputs import gather_prompt
from app.cli.common.interrupt import Interrupt, running
from app.cli.common.launching import EngineLauncher
from app.cli.common.options import AskOptions
from app.cli.common.setup import Setup, look_up
from app.client.engine import Engine
from app.domain.errors import UsageError
from app.session.events import BranchChanged, Gone, StoreFailed


def run_ask(options: AskOptions, launcher: EngineLauncher) -> int:
    """Answers one question and returns the exit code. Raises TokscopeError for what goes wrong before the answer."""
    taken_up = asyncio.run(take_up()) if options.continue_last else None
    setup = look_up(options, taken_up and taken_up.conversation, taken_up.branch if taken_up else ())
    prompt = gather_prompt(options.prompt, options.files)
    return asyncio.run(_ask(options, setup, prompt, launcher))


async def _ask(options: AskOptions, setup: Setup, prompt: str, launcher: EngineLauncher) -> int:
    with _asking(options, setup) as asking:
        return await run_asking(options, setup, prompt, launcher, asking)


@contextmanager
def _asking(options: AskOptions, setup: Setup) -> Generator[Asking]:
    asking = OneAnswer(options, setup) if options.n == 1 else ManyAnswers(options, setup)
    if options.trace is None:
        yield asking
        return
    if setup.model.options.remote:
        raise UsageError(
            f"--trace needs a model that is loaded here; a server runs {setup.model.name}", "Leave --trace out."
        )
    from app.cli.ask.traced import TracedAnswer
    from app.cli.trace.file import opened

    with opened(options.trace, overwrite=options.overwrite) as sink:
        yield TracedAnswer(asking, setup, sink)


async def run_asking(options: AskOptions, setup: Setup, prompt: str, launcher: EngineLauncher, asking: Asking) -> int:
    """Asks, shows the answer as `asking` does, and returns the exit code."""
    engine = launcher.engine()
    async with running(engine) as interrupt:
        await _converse(options, setup, prompt, engine, asking, interrupt)
    if interrupt.requested:
        asking.interrupt()
    asking.end()
    code = asking.report()
    return interrupt.exit_code if interrupt.requested else code


async def _converse(
    options: AskOptions, setup: Setup, prompt: str, engine: Engine, asking: Asking, interrupt: Interrupt
) -> None:
    # One conversation needs one slot, and a smaller cache is made sooner.
    load_options = msgspec.structs.replace(setup.model.options, n_slots=1)
    loading = asyncio.create_task(load_model(engine, msgspec.structs.replace(setup.model, options=load_options)))
    try:
        async with open_session(options, setup, engine) as session:
            asking.ready(await loading)
            async with aclosing(asking.send(session, prompt)) as events:
                interrupt.stop = session.stop
                async for index, event in events:
                    asking.take(index, event)
                    if isinstance(event, BranchChanged):
                        _report_change(event)
                    elif isinstance(event, StoreFailed):
                        console.print_error(f"this answer is not saved: {event.message}", event.hint)
    finally:
        loading.cancel()
        # A load that failed as well is reported once.
        await asyncio.gather(loading, return_exceptions=True)


def _report_change(change: BranchChanged) -> None:
    if change.n_added:
        console.print_stderr(f"tok: the conversation includes new messages from another window: {change.n_added}")
    if change.gone is Gone.DELETED:
        console.print_stderr("tok: the conversation was deleted in another window; this question restores it")
    elif change.gone is Gone.ERASED:
        console.print_stderr(
            "tok: the conversation was erased in another window; it is saved again, with this question"
        )
