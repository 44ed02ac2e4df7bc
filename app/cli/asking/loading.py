"""Loads a model for a command; what the user should know goes to standard error."""

from __future__ import annotations

from contextlib import aclosing

from app.cli import console
from app.client.engine import Engine
from app.domain.errors import EngineLostError, ModelError
from app.models.locate import LocatedModel
from app.protocol.commands import LoadModel
from app.protocol.events import EngineLost, LoadFailed, ModelReady


async def load_model(engine: Engine, model: LocatedModel) -> ModelReady:
    """Loads `model` and tells its notices. Raises ModelError or EngineLostError."""
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
