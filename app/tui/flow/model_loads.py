"""Which model is loaded when: the first one, another that is chosen or that a conversation has, the same again."""

from __future__ import annotations

from collections.abc import Callable, Coroutine

from app.protocol.events import ModelReady
from app.tui.flow.chat import Chat
from app.tui.flow.chat_settings import SettingsSwitch
from app.tui.flow.loader import EngineLoader

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
