"""Which model is loaded when: the first one, a chosen one, the one of a conversation that is opened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from app.domain.errors import ModelError
from app.domain.text import one_line
from app.models.listing import list_models
from app.protocol.events import ModelReady
from app.session.loading import EngineLoader
from app.session.send_queue import Chat
from app.tui.chat.settings import SettingsSwitch
from app.tui.common.host import ChatHost
from app.tui.common.services import Services
from app.tui.dialogs.pickers import ModelPicker

_Then = Callable[[], None] | None


class ModelLoads:
    """One per chat."""

    def __init__(
        self,
        chat: Chat,
        loader: EngineLoader,
        settings: SettingsSwitch,
        services: Services,
        host: ChatHost,
        adopt: Callable[[ModelReady], None],
    ) -> None:
        """`adopt` is called with every model that is loaded."""
        self._chat = chat
        self._loader = loader
        self._settings = settings
        self._services = services
        self._host = host
        self._adopt = adopt
        self._wanted: str | None = None
        self._draft_for: str | None = None
        self._begun = False

    async def choose(self) -> None:
        """Asks for a model and loads it; if it is loaded already, keeps it for the conversation."""
        located = self._loader.located
        current = located.name if located is not None else ""
        configured = self._services.settings.models_dir
        # Reads the header of every file: off the event loop, as a disk may be slow.
        models = await asyncio.to_thread(
            list_models, self._services.catalogue, Path(configured) if configured else None
        )
        chosen = await self._host.ask(ModelPicker(models, current, self._settings.defaults))
        if chosen is None:
            return
        self._settings.remember_model(chosen)
        if located is not None and chosen == current and self._loader.ready and self._loader.model is not None:
            await self._settings.keep_model(located, self._settings.conversation_id)
        else:
            self.load(chosen, chosen=True)

    async def opened(self, *, with_options: bool = False) -> tuple[str, ...]:
        """Switches to the settings and the model of the conversation that was opened; returns notices.

        `with_options`: what the command line names replaces what is stored.
        """
        if self._settings.conversation_id is None:
            return ()
        notices = await self._settings.restore(with_options=with_options)
        if with_options and (model := self._services.options.model):
            self.load(model, chosen=True)
            return notices
        return (*notices, *self._switch(self._settings.now.model))

    def _switch(self, wanted: str) -> tuple[str, ...]:
        if not wanted:
            return ()
        try:
            found = self._loader.find(wanted, None)
        except ModelError as error:
            if self._loader.ready:
                return (self._in_place_of(wanted, str(error)),)
            self.load(wanted)  # fails, and says so once another model is loaded
            return ()
        located = self._loader.located
        if located is None or found.reference != located.reference or self._loader.status.error:
            self.load(found.reference)
        return ()

    def first(self) -> None:
        """Loads the model to start with, unless a conversation that was opened has loaded its own."""
        if not self._begun:
            self.load(self._settings.first_model())

    def load(self, wanted: str | None, *, chosen: bool = False, then: _Then = None) -> None:
        """Loads a model in place of the one before, cancelling a load in progress; calls `then` when it is loaded.

        `chosen`: by the user, for the conversation on the screen. A model that was not chosen and cannot be loaded is
        replaced by the one before, or by the one to start with.
        """
        self._wanted = wanted
        self._draft_for = self._draft_for if self._begun else wanted
        self._begun = True
        chosen_for = (self._settings.conversation_id,) if chosen else None
        self._host.run(self._load(wanted, chosen_for, then), replaces="load")

    def again(self, then: _Then = None) -> None:
        """Loads the last model again and restarts an engine that is gone."""
        self.load(self._wanted, then=then)

    async def _load(self, wanted: str | None, chosen_for: tuple[int | None] | None, then: _Then) -> None:
        if self._chat.stop():
            await self._chat.settle()
            self._host.announce(
                "The reply was stopped to load the other model. Its text is kept; Regenerate writes it again."
            )
        loader, before = self._loader, self._loader.located
        draft = self._services.options.draft if wanted == self._draft_for else None
        model, failed = await loader.load(wanted, draft), loader.status
        if model is None and not (chosen_for or failed.cancelled):
            other = before.reference if before and before.reference != wanted else self._settings.first_model()
            if other != wanted:
                model = await loader.load(other)
                self._host.remark(self._in_place_of(wanted or "", failed.error))
        if model is not None:
            self._adopt(model)
            if chosen_for and loader.located is not None:
                await self._settings.keep_model(loader.located, chosen_for[0])
            else:
                self._settings.loaded()
            if then:
                then()
        self._chat.advance()

    def _in_place_of(self, wanted: str, reason: str) -> str:
        used = self._loader.located if self._loader.ready else None
        instead = f"{one_line(used.title)} is used instead" if used else "choose another"
        return f"This conversation's model {one_line(wanted, 200)} is not available ({reason}): {instead}."
