"""What answers the conversation on the screen, taken up when it opens; and which model is loaded when."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Protocol

from msgspec.structs import replace

from app.domain.conversation import ChatSettings
from app.domain.errors import ModelError
from app.domain.sampling import Preset
from app.domain.text import one_line
from app.models.locate import LocatedModel
from app.protocol.events import ModelReady
from app.session.loading import EngineLoader
from app.session.restore import restored
from app.session.send_queue import Chat
from app.session.session import Session
from app.tui.common.preferences import recall_model, remember_model, remember_preset
from app.tui.common.services import Services


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
        announce: Callable[[str], None],
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
        self._announce = announce
        session.use(ChatSettings(preset=session.preset, system=services.options.system))

    def first_model(self) -> str | None:
        """The model of the command line, the preset's, the configured or the last chosen one; None is the default."""
        if given := self._options.model or self._now.preset.model or self._configured:
            return given
        last = recall_model(self._memory)
        try:
            return self._loader.find(last, None).reference if last else None
        except ModelError as error:
            self._announce(f"The model that was used last cannot be had: {error}.")
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
            self._announce("This conversation keeps its own system prompt.")

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


_Then = Callable[[], None] | None


class ModelLoads:
    """One per chat."""

    def __init__(
        self,
        chat: Chat,
        loader: EngineLoader,
        settings: SettingsSwitch,
        *,
        adopt: Callable[[ModelReady], None],
        stopped: Callable[[], None],
        remark: Callable[[str], None],
        run: Callable[[Coroutine[object, object, None]], object],
    ) -> None:
        """Takes what it needs.

        Args:
            chat: is stopped before a load, and goes on after it.
            loader: does the work.
            settings: keeps what was chosen.
            adopt: takes a model that is loaded.
            stopped: hears that a reply was stopped for a load.
            remark: shows a notice that stays.
            run: runs a load in the background, in place of one that runs.
        """
        self._chat = chat
        self._loader = loader
        self._settings = settings
        self._adopt = adopt
        self._stopped = stopped
        self._remark = remark
        self._run = run
        self._wanted: str | None = None
        self._draft_for: str | None = None
        self._begun = False

    def first(self) -> None:
        """Loads the model to start with, unless a conversation that was opened has brought its own."""
        if not self._begun:
            self.load(self._settings.first_model())

    def load(self, wanted: str | None, *, chosen: bool = False, then: _Then = None) -> None:
        """Loads a model in place of the one before; a load in progress is given up. `then` is called when it is there.

        `chosen` by the person, for the conversation on the screen. One that is not and cannot be loaded is replaced by
        the one before, or by the one to start with.
        """
        self._wanted = wanted
        self._draft_for = self._draft_for if self._begun else wanted
        self._begun = True
        self._run(self._load(wanted, (self._settings.conversation_id,) if chosen else None, then))

    def again(self, then: _Then = None) -> None:
        """Loads the model that was wanted last, starting the engine if it is gone."""
        self.load(self._wanted, then=then)

    async def _load(self, wanted: str | None, chosen_for: tuple[int | None] | None, then: _Then) -> None:
        if self._chat.stop():
            await self._chat.settle()
            self._stopped()
        loader, before = self._loader, self._loader.located
        draft = self._settings.draft if wanted == self._draft_for else None
        model, failed = await loader.load(wanted, draft), loader.status
        if model is None and not (chosen_for or failed.cancelled):
            other = before.reference if before and before.reference != wanted else self._settings.first_model()
            if other != wanted:
                model = await loader.load(other)
                self._remark(self._settings.in_place_of(wanted or "", failed.error))
        if model is not None:
            self._adopt(model)
            if chosen_for and loader.located is not None:
                await self._settings.keep_model(loader.located, chosen_for[0])
            else:
                self._settings.loaded()
            if then:
                then()
        self._chat.advance()
