"""An engine with a model for one command: loads it, asks it, and reports problems on standard error."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from msgspec.structs import replace

from app.cli.common import console
from app.cli.common.interrupt import Interrupt, running
from app.cli.common.launching import EngineLauncher
from app.cli.common.options import AskOptions
from app.cli.common.setup import look_up
from app.client.engine import Engine
from app.domain.errors import EngineLostError, ModelError
from app.models.locate import LocatedModel
from app.protocol.commands import LoadModel
from app.protocol.events import EngineLost, LoadFailed, ModelReady
from app.session.loading import load_to_end


async def load_model(engine: Engine, model: LocatedModel) -> ModelReady:
    """Loads `model` and prints its notices. Raises ModelError or EngineLostError."""
    ready = await load_or_raise(engine, LoadModel(str(model.path), model.options, model.sizes), model.name)
    for notice in ready.notices:
        console.print_stderr(f"tok: {notice}")
    return ready


async def load_or_raise(engine: Engine, command: LoadModel, name: str) -> ModelReady:
    """Loads a model, which messages call `name`. Raises ModelError or EngineLostError."""
    match await load_to_end(engine, command):
        case ModelReady() as ready:
            return ready
        case LoadFailed(reason=reason, hint=hint):
            raise ModelError(f"cannot load {name}: {reason}", hint)
        case EngineLost(reason=reason):
            raise EngineLostError(f"the engine was lost while it loaded {name}: {reason}")


T = TypeVar("T")
Question = Callable[[Engine, Interrupt], Awaitable[T]]


def find_model(name: str | None, **load_options: int) -> LocatedModel:
    """The model that is named, or that of the settings, to be loaded for one request alone. Raises as `look_up`."""
    return for_one(look_up(AskOptions(model=name)).model, **load_options)


def for_one(model: LocatedModel, **load_options: int) -> LocatedModel:
    """With one slot, which is made sooner, no drafting, and `load_options` in place of its own."""
    return replace(model, options=replace(model.options, n_slots=1, draft=None, **load_options))


def ask_engine(launcher: EngineLauncher, model: LocatedModel, question: Question[T]) -> T:
    """Loads the model, asks and ends the engine. Raises TokscopeError, or EndedBySignal for Ctrl-C and its like."""
    return asyncio.run(_ask(launcher, model, question))


async def _ask(launcher: EngineLauncher, model: LocatedModel, question: Question[T]) -> T:
    engine = launcher.engine()
    async with running(engine) as interrupt:
        await load_model(engine, model)
        return await question(engine, interrupt)
    raise interrupt.ended


def lost(event: EngineLost) -> EngineLostError:
    """The error for an engine that died during a question."""
    return EngineLostError(f"the engine was lost: {event.reason}", hint="ask again to restart the engine")
