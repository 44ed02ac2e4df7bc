"""What answers the conversation on the screen: taken up when it is opened, kept when it is chosen. Knows no widget.

A choice of the person is kept with the conversation. What stands in for a model that cannot be had is only used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec.structs import replace

from app.domain.conversation import ChatSettings
from app.domain.errors import ModelError
from app.domain.sampling import Preset
from app.domain.text import one_line
from app.models.locate import LocatedModel
from app.session.restore import restored
from app.session.session import Session
from app.tui.flow.first_choices import recall_model, remember_model, remember_preset
from app.tui.flow.loader import EngineLoader
from app.tui.services import Services


class Load(Protocol):
    """Loads a model in place of the one before; `chosen` by the person."""

    def __call__(self, wanted: str, *, chosen: bool = False) -> None:
        """Returns at once."""
        ...


class SettingsSwitch:
    """One per chat."""

    def __init__(
        self,
        session: Session,
        loader: EngineLoader,
        services: Services,
        *,
        load: Load,
        tell: Callable[[str], None],
    ) -> None:
        """`tell` shows a passing notice."""
        self._session = session
        self._loader = loader
        self._presets = services.presets
        self._options = services.options
        self._memory = services.memory
        self._configured = services.settings.model
        self.draft = services.options.draft
        """The draft model of the command line, for the model to start with."""
        self.defaults = {
            "model": services.settings.model or services.catalogue.default,
            "preset": services.settings.preset,
        }
        """What new chats start with, by the key of `config.toml`."""
        self._load = load
        self._tell = tell
        session.use(ChatSettings(preset=session.preset, system=services.options.system))

    def first_model(self) -> str | None:
        """The model of the command line, the preset's, the configured or the last chosen one; None is the default."""
        if given := self._options.model or self._now.preset.model or self._configured:
            return given
        last = recall_model(self._memory)
        try:
            return self._loader.find(last, None).reference if last else None
        except ModelError as error:
            self._tell(f"The model that was used last cannot be had: {error}.")
            return None

    def begin(self) -> None:
        """For a conversation that begins now: the model that is loaded, and the preset by its name."""
        last = self._now.preset
        located = self._loader.located
        self._session.use(
            ChatSettings(
                model=located.reference if located else "",
                preset=self._presets.get(last.name, last),
                system=self._options.system,
            )
        )

    async def opened(self, *, with_options: bool = False) -> tuple[str, ...]:
        """Switches to what the conversation that was opened is answered with; returns what of it cannot be had.

        `with_options`: what the command line names wins, and is kept.
        """
        conversation = self._session.conversation
        if conversation is None:
            return ()
        found = restored(conversation, self._session.branch, self._presets, self._now.preset)
        settings, options = found.settings, self._options
        asked = options.preset if with_options else None
        if with_options:
            settings = replace(
                settings,
                preset=self._presets.get(asked or "", settings.preset),
                system=settings.system if options.system is None else options.system,
            )
        if settings == found.settings:
            self._session.use(settings)
        else:
            await self._session.keep(settings)
        notices = () if asked else found.notices
        if with_options and options.model:
            self._load(options.model, chosen=True)
            return notices
        return (*notices, *self._switch_model(settings.model))

    async def choose_preset(self, preset: Preset) -> None:
        """Answers with another preset from now on; a system prompt of the conversation's own stays."""
        remember_preset(self._memory, preset.name)
        await self._session.keep(replace(self._now, preset=preset))
        if self._now.system is not None:
            self._tell("This conversation keeps its own system prompt.")

    def remember_model(self, reference: str) -> None:
        """Remembers a model that was chosen for the next session."""
        remember_model(self._memory, reference)

    async def keep_model(self, located: LocatedModel, conversation_id: int | None) -> None:
        """Keeps a model that the person named, with the conversation that it was meant for."""
        if conversation_id == self.conversation_id:
            await self._session.keep(replace(self._now, model=located.reference))

    def loaded(self) -> None:
        """Takes note of a model that nobody chose, unless the conversation on the screen has one of its own."""
        if (located := self._loader.located) and (self.conversation_id is None or not self._now.model):
            self._session.use(replace(self._now, model=located.reference))

    def in_place_of(self, wanted: str, reason: str) -> str:
        """Why the model that is used is not the conversation's own."""
        used = self._loader.located if self._loader.ready else None
        instead = f"{one_line(used.title)} is used instead" if used else "choose another"
        return f"This conversation's model {one_line(wanted, 200)} cannot be had ({reason}): {instead}."

    @property
    def conversation_id(self) -> int | None:
        """The conversation on the screen."""
        return self._session.conversation.id if self._session.conversation else None

    def _switch_model(self, wanted: str) -> tuple[str, ...]:
        if not wanted:
            return ()
        try:
            found = self._loader.find(wanted, None)
        except ModelError as error:
            if self._loader.ready:
                return (self.in_place_of(wanted, str(error)),)
            self._load(wanted)  # fails, which is said once another model is there
            return ()
        located = self._loader.located
        if located is None or found.reference != located.reference or self._loader.status.error:
            self._load(found.reference)
        return ()

    @property
    def _now(self) -> ChatSettings:
        return self._session.settings or ChatSettings(preset=self._session.preset)
