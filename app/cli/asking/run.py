"""Asks one question: load, send, report. The engine's process is already starting when this is imported."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from app.cli import console
from app.cli.asking.answer import Answer
from app.cli.asking.interrupt import Interrupt
from app.cli.asking.options import AskOptions
from app.cli.asking.prompt import gather_prompt
from app.cli.asking.setup import Setup, look_up
from app.cli.asking.sinks import Sink, sink_for
from app.cli.asking.stats import print_stats
from app.cli.launch import EngineLauncher
from app.client.engine import Engine
from app.domain.errors import EngineLostError, ModelError
from app.models.locate import LocatedModel
from app.protocol.commands import LoadModel
from app.protocol.events import ContextTrimmed, EngineLost, LoadFailed, ModelReady
from app.session.events import StoreFailed

if TYPE_CHECKING:
    from app.session.session import Session


def run_ask(options: AskOptions, launcher: EngineLauncher) -> int:
    """Answers one question and returns the exit code. Raises TokscopeError for what goes wrong before the answer."""
    setup = look_up(options)
    prompt = gather_prompt(options.prompt, options.files)
    return asyncio.run(_ask(options, setup, prompt, launcher))


async def _ask(options: AskOptions, setup: Setup, prompt: str, launcher: EngineLauncher) -> int:
    answer = Answer(setup.model.name, setup.preset.name, keep_tokens=options.logprobs is not None)
    sink = sink_for(options, answer)
    engine = launcher.engine()
    try:
        with Interrupt() as interrupt:
            try:
                await _converse(options, setup, prompt, engine, answer, sink, interrupt)
            except asyncio.CancelledError:
                if not interrupt.requested:
                    raise
        if interrupt.requested:
            answer.interrupt()
        sink.end(answer)
    finally:
        await engine.close()
    if answer.error:
        console.print_error(answer.error, answer.hint)
    if options.stats:
        print_stats(answer)
    return answer.exit_code


async def _converse(
    options: AskOptions,
    setup: Setup,
    prompt: str,
    engine: Engine,
    answer: Answer,
    sink: Sink,
    interrupt: Interrupt,
) -> None:
    loading = asyncio.create_task(_load(engine, setup.model))
    await asyncio.sleep(0)
    # The store's and the session's modules are read while the engine starts.
    from app.cli.asking.conversation import open_session

    try:
        async with open_session(options, setup, engine) as session:
            answer.take(await loading)
            await _listen(session, prompt, answer, sink, interrupt)
    finally:
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)


async def _listen(session: Session, prompt: str, answer: Answer, sink: Sink, interrupt: Interrupt) -> None:
    async with aclosing(session.send(prompt)) as events:
        interrupt.stop = session.stop
        async for event in events:
            answer.take(event)
            sink.take(event)
            if isinstance(event, ContextTrimmed):
                console.talk(f"tok: the context window is full: the {event.n_messages} oldest messages are left out")
            if isinstance(event, StoreFailed):
                console.print_error(f"this answer is not kept: {event.message}", event.hint)


async def _load(engine: Engine, model: LocatedModel) -> ModelReady:
    async with aclosing(engine.load(LoadModel(str(model.path), model.options, model.sizes))) as events:
        async for event in events:
            match event:
                case ModelReady():
                    for notice in event.notices:
                        console.talk(f"tok: {notice}")
                    return event
                case LoadFailed():
                    raise ModelError(f"cannot load {model.name}: {event.reason}", event.hint)
                case EngineLost():
                    raise EngineLostError(f"the engine was lost while it loaded {model.name}: {event.reason}")
                case _:
                    pass
    raise EngineLostError("the engine ended without a word")
