"""Loads a model and reports its progress. Knows the catalogue and the engine, no widget."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from app.client.engine import Engine
from app.config.catalogue import Catalogue
from app.domain.errors import ModelError
from app.models.locate import LocatedModel, locate
from app.protocol.commands import LoadModel
from app.protocol.events import EngineLost, LoadFailed, LoadProgress, ModelReady


@dataclass
class LoadStatus:
    """How the load stands, for the header and the welcome text."""

    title: str = ""
    fraction: float | None = None
    """0 to 1 while a model is being loaded, else None."""
    error: str = ""
    hint: str = ""
    cancelled: bool = False


class EngineLoader:
    """Loads one model after another; the newest wish wins."""

    def __init__(
        self,
        engine: Engine,
        catalogue: Catalogue,
        models_dir: Path | None,
        changed: Callable[[], None],
        only: LocatedModel | None = None,
    ) -> None:
        """`changed` hears of every new status. `only` is loaded whatever is wanted."""
        self._engine = engine
        self._catalogue = catalogue
        self._models_dir = models_dir
        self._changed = changed
        self._only = only
        self.status = LoadStatus()
        self.located: LocatedModel | None = None
        """The model that is loaded or being loaded."""
        self._loaded: ModelReady | None = None
        self._titled: ModelReady | None = None

    @property
    def ready(self) -> bool:
        """Whether the located model is loaded."""
        return self.status.fraction is None and not self.status.error and self.located is not None

    @property
    def model(self) -> ModelReady | None:
        """The engine's model under its title in the catalogue; the same object as long as it is the same model."""
        model = self._engine.model
        if model is not self._loaded:
            self._loaded = model
            self._titled = replace(model, title=self.status.title or model.title) if model is not None else None
        return self._titled

    def find(self, wanted: str | None, draft: str | None) -> LocatedModel:
        """Finds the file of a model. Raises ModelError."""
        return self._only or locate(wanted, self._catalogue, self._models_dir, draft)

    async def load(self, wanted: str | None, draft: str | None = None) -> ModelReady | None:
        """Finds and loads a model, and a draft model if named; returns what is loaded, or None: see `status.error`."""
        try:
            located = self.find(wanted, draft)
        except ModelError as error:
            self._set(LoadStatus(error=str(error), hint=error.hint))
            return None
        self.located = located
        self._set(LoadStatus(located.title, 0.0))
        command = LoadModel(str(located.path), located.options, located.sizes)
        end = await load_to_end(self._engine, command, lambda done: self._set(LoadStatus(located.title, done)))
        match end:
            case ModelReady():
                self._set(LoadStatus(located.title))
                return end
            case LoadFailed(reason=reason, hint=hint, cancelled=cancelled):
                self._set(LoadStatus(located.title, error=reason, hint=hint, cancelled=cancelled))
            case EngineLost(reason=reason):
                lost = f"The engine was lost while it loaded the model: {reason}"
                self._set(LoadStatus(located.title, error=lost, hint="The next message tries again."))
        return None

    def _set(self, status: LoadStatus) -> None:
        self.status = status
        self._changed()


async def load_to_end(
    engine: Engine, command: LoadModel, progress: Callable[[float], None] | None = None
) -> ModelReady | LoadFailed | EngineLost:
    """Loads a model; `progress` gets the fraction done, 0 to 1. Cancelling this cancels the load."""
    async with aclosing(engine.load(command)) as events:
        async for event in events:
            if not isinstance(event, LoadProgress):
                return event
            if progress is not None:
                progress(event.fraction)
    return EngineLost(None, "it ended without an error message")
