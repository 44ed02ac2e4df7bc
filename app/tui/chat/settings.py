"""The model and settings that answer the conversation on the screen: what it opens with, and the pickers."""

from __future__ import annotations

from msgspec.structs import replace
from textual.app import App

from app.domain.conversation import ChatSettings
from app.domain.errors import ModelError
from app.models.locate import LocatedModel
from app.session.loading import EngineLoader
from app.session.restore import restored
from app.session.session import Session
from app.tui.common.host import ChatHost
from app.tui.common.preferences import recall_model, remember_model, remember_preset
from app.tui.common.services import Services
from app.tui.common.theme_manager import ThemeManager
from app.tui.dialogs.pickers import PresetPicker, ThemePicker


class SettingsSwitch:
    """One per chat.

    Attributes:
        defaults: what new chats start with, by the key of `config.toml`.
    """

    def __init__(self, session: Session, loader: EngineLoader, services: Services, host: ChatHost) -> None:
        self._session = session
        self._loader = loader
        self._services = services
        self._host = host
        self.defaults = {
            "model": services.settings.model or services.catalogue.default,
            "preset": services.settings.preset,
        }
        session.use(ChatSettings(preset=session.settings.preset, system=services.options.system))

    def first_model(self) -> str | None:
        """Returns the model of the command line, preset, configuration or last use; None for the default."""
        if given := self._services.options.model or self.now.preset.model or self._services.settings.model:
            return given
        last = recall_model(self._services.memory)
        try:
            return self._loader.find(last, None).reference if last else None
        except ModelError as error:
            self._host.announce(f"The model that was used last is not available: {error}.")
            return None

    def begin(self) -> None:
        """Takes the loaded model and the current preset for a new conversation."""
        last = self.now.preset
        located = self._loader.located
        self._session.use(
            ChatSettings(
                model=located.reference if located else "",
                preset=self._services.presets.get(last.name, last),
                system=self._services.options.system,
            )
        )

    async def restore(self, *, with_options: bool) -> tuple[str, ...]:
        """Takes the settings of the conversation that was opened; returns notices about those that are missing.

        `with_options`: those of the command line replace the stored ones.
        """
        conversation = self._session.conversation
        if conversation is None:
            return ()
        presets, options = self._services.presets, self._services.options
        found = restored(conversation, self._session.branch, presets, self.now.preset)
        settings = found.settings
        if with_options:
            settings = replace(
                settings,
                preset=presets.get(options.preset or "", settings.preset),
                system=settings.system if options.system is None else options.system,
            )
        if settings == found.settings:
            self._session.use(settings)
        else:
            await self._session.keep(settings)
        return () if with_options and options.preset else found.notices

    async def choose_preset(self) -> None:
        """Asks for the preset of the next replies; a system prompt of the conversation's own stays."""
        presets = self._services.presets
        chosen = await self._host.ask(PresetPicker(presets, self._session.settings.preset.name, self.defaults))
        if chosen is None:
            return
        remember_preset(self._services.memory, chosen)
        await self._session.keep(replace(self.now, preset=presets[chosen]))
        if self.now.system is not None:
            self._host.announce("This conversation keeps its own system prompt.")
        self._host.refresh_state()

    def remember_model(self, reference: str) -> None:
        """Remembers a chosen model for the next session."""
        remember_model(self._services.memory, reference)

    async def keep_model(self, located: LocatedModel, conversation_id: int | None) -> None:
        """Stores a model that the user chose, if the conversation it was meant for is still on the screen."""
        if conversation_id == self.conversation_id:
            await self._session.keep(replace(self.now, model=located.reference))

    def loaded(self) -> None:
        """Takes a model that nobody chose, unless the conversation on the screen has one of its own."""
        if (located := self._loader.located) and (self.conversation_id is None or not self.now.model):
            self._session.use(replace(self.now, model=located.reference))

    @property
    def conversation_id(self) -> int | None:
        """The conversation on the screen."""
        return self._session.conversation.id if self._session.conversation else None

    @property
    def now(self) -> ChatSettings:
        """The settings of the next reply."""
        return self._session.settings.kept


async def choose_theme(app: App[int], themes: ThemeManager, host: ChatHost) -> None:
    """Asks for a theme, shows each one under the cursor, and restores the old one if the dialog is left."""
    before = app.theme
    chosen = await host.ask(ThemePicker(themes.themes, before, themes.apply))
    if chosen is None:
        themes.apply(before)
    else:
        themes.apply_and_save(chosen)


def reload_themes(themes: ThemeManager, host: ChatHost) -> None:
    """Reads the theme files again."""
    for notice in themes.reload() or ["Themes reloaded."]:
        host.announce(notice)
