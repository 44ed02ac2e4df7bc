"""What the user chooses in a dialog: model, preset, theme."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from textual.app import App

from app.config.catalogue import Catalogue
from app.domain.sampling import Preset
from app.models.listing import list_models
from app.session.loading import EngineLoader
from app.session.session import Session
from app.tui.chat.settings import SettingsSwitch
from app.tui.common.safe import Ask
from app.tui.common.theme_manager import ThemeManager
from app.tui.dialogs.pickers import ModelPicker, PresetPicker, ThemePicker


class Choices:
    """Shows the pickers and applies what is picked."""

    def __init__(
        self,
        app: App[int],
        ask: Ask,
        session: Session,
        loader: EngineLoader,
        wardrobe: ThemeManager,
        settings: SettingsSwitch,
    ) -> None:
        self._app = app
        self._ask = ask
        self._session = session
        self._loader = loader
        self._wardrobe = wardrobe
        self._settings = settings

    async def model(self, catalogue: Catalogue, models_dir: Path | None) -> str | None:
        """Returns the name of a model to load; None when the loaded one stays, which may be a choice too."""
        located = self._loader.located
        current = located.name if located is not None else ""
        # Every file's header is read, which a slow disk must not turn into a frozen screen.
        models = await asyncio.to_thread(list_models, catalogue, models_dir)
        chosen = await self._ask(ModelPicker(models, current, self._settings.defaults))
        if chosen is not None:
            self._settings.remember_model(chosen)
        stays = self._loader.ready and self._loader.model is not None
        if located is None or chosen != current or not stays:
            return chosen
        await self._settings.keep_model(located, self._settings.conversation_id)
        return None

    async def preset(self, presets: Mapping[str, Preset], changed: Callable[[], None]) -> None:
        """Lets the next replies use another preset."""
        chosen = await self._ask(PresetPicker(presets, self._session.preset.name, self._settings.defaults))
        if chosen is not None:
            await self._settings.choose_preset(presets[chosen])
            changed()

    async def theme(self) -> None:
        """Wears another theme; goes back to the old one when the dialog is left."""
        before = self._app.theme
        chosen = await self._ask(ThemePicker(self._wardrobe.themes, before, self._wardrobe.wear))
        if chosen is None:
            self._wardrobe.wear(before)
        else:
            self._wardrobe.keep(chosen)
