"""What the chat is built from, handed in from outside so that a test can hand in something else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from app.client.engine import Engine, Restartable, Steerable, capable
from app.config.catalogue import Catalogue
from app.config.settings import Settings
from app.config.themes import LoadedThemes
from app.domain.sampling import Preset
from app.models.locate import LocatedModel
from app.store.store import Store
from app.tui.common.commands import Need
from app.tui.common.options import ChatOptions
from app.tui.common.preferences import Preferences


@dataclass(frozen=True)
class Services:
    """The floors below, opened or ready to be."""

    options: ChatOptions
    settings: Settings
    presets: Mapping[str, Preset]
    preset: Preset
    """The one to start with."""
    catalogue: Catalogue
    engine: Engine
    open_store: Callable[[], Awaitable[Store]]
    """Returns a store that may open its file later, and again when that failed."""
    load_themes: Callable[[], LoadedThemes]
    memory: Preferences
    notices: tuple[str, ...] = ()
    """What is wrong in the configuration, a line each."""
    dark_background: bool | None = None
    """What the terminal said of its background; None when it did not."""
    typed: str = ""
    """What was typed before the app took the terminal over; a line's end is Enter."""
    recorded: LocatedModel | None = None
    """The model of the recording that `engine` plays; None in a chat. Nothing is written in a replay."""

    @property
    def met(self) -> frozenset[Need]:
        """The needs of commands that are met now."""
        if self.recorded:
            return frozenset({Need.INTERNALS})
        steering = {Need.STEERING, Need.INTERNALS} if capable(self.engine, Steerable) else set[Need]()
        restart = {Need.RESTART} if capable(self.engine, Restartable) else set[Need]()
        return frozenset({Need.WRITING} | steering | restart)
