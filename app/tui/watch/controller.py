"""What the commands of watching do: the column's panels, one of them as a screen, speculation on and off."""

from __future__ import annotations

from msgspec.structs import replace
from textual.app import App

from app.analysis.ending import ReplyContext
from app.analysis.meter import Phase, RunMeter
from app.analysis.recording import events_of
from app.analysis.story import story
from app.domain.conversation import ReplyState, Role
from app.domain.sampling import SamplingParams
from app.session.loading import EngineLoader
from app.session.session import Session
from app.tui.common.preferences import Preferences
from app.tui.dialogs.help import Story
from app.tui.panels.choice import PanelChoice
from app.tui.panels.column import PanelColumn
from app.tui.panels.pages import PAGES, page_of
from app.tui.panels.status import StatusLine
from app.tui.watch.screen import PanelPicker, WatchScreen


class PanelController:
    """One per chat. Remembers which panels are wanted and which one was open last."""

    def __init__(
        self,
        host: App[int],
        session: Session,
        meter: RunMeter,
        memory: Preferences,
        column: PanelColumn,
        status: StatusLine,
        loader: EngineLoader,
    ) -> None:
        self._host = host
        self._session = session
        self._meter = meter
        self._memory = memory
        self._column, self._status = column, status
        self._loader = loader
        self.can_speculate = True
        """Whether speculation can be turned on and off."""
        self._screen: WatchScreen | None = None
        self._asked = -1, SamplingParams()
        """The reply whose sampling is known, and that."""
        column.choice = PanelChoice(memory.recall("panel_choice", ""))

    @property
    def setting(self) -> ReplyContext:
        """How the reply on the screen was asked for, and whether the next one is with speculation."""
        return ReplyContext(self._speculates, self._session.settings.preset.context, self._sampling())

    @property
    def _speculates(self) -> bool:
        wanted = self._session.settings.speculate
        return self._has_draft_model if wanted is None else wanted

    @property
    def _has_draft_model(self) -> bool:
        located = self._loader.located
        return located is not None and bool(located.options.draft)

    def _sampling(self) -> SamplingParams:
        reply = self._session.branch[-1] if self._session.branch else None
        if reply is None or reply.role is not Role.ASSISTANT:
            return self._session.settings.preset.sampling
        if reply.id != self._asked[0]:
            trace = self._session.trace(reply.id)
            if trace is None:
                return self._session.settings.preset.sampling
            self._asked = reply.id, trace.sampling
        return self._asked[1]

    def refresh(self) -> None:
        """Shows the meter's figures; costs next to nothing when they are the same."""
        model, setting = self._loader.model, self.setting
        if self._screen is not None:
            self._screen.show(self._meter, model, setting)
            return
        self._column.update(self._meter, model, setting)
        self._status.update(self._meter, model, setting)

    async def recall(self) -> None:
        """Takes up the figures of the reply on the screen where it was made before the conversation was opened."""
        reply = next((message for message in reversed(self._session.branch) if message.role is Role.ASSISTANT), None)
        if self._meter.phase is not Phase.IDLE or self._meter.tokens or reply is None or reply.generation is None:
            return
        trace, record = await self._session.load_trace(reply.id), reply.generation
        if trace is None or self._meter.phase is not Phase.IDLE or reply not in self._session.branch:
            return
        self._asked = reply.id, trace.sampling
        self._meter.screen.forget()
        for event in events_of(record, trace, lost=reply.state is ReplyState.INTERRUPTED):
            self._meter.apply(event)
        self._meter.context_known = record.model == self._session.settings.model_name
        self.refresh()

    async def show(self, name: str) -> None:
        """Opens a panel with the figures of the reply on the screen, however old it is."""
        await self.recall()
        self.open(name)

    def open(self, name: str = "") -> None:
        """Shows a panel as large as the screen; without a name the one that was open last."""
        if self._screen is not None:  # the key was pressed twice before there was a screen to take it
            return
        last = self._memory.recall("watch", "")
        first = name or (last if last in PAGES else next(iter(PAGES)))
        self._screen = WatchScreen(
            page_of(first),
            self._column.choice,
            refresh=self.refresh,
            changed=self._changed,
            speculate=self.toggle_speculation if self.can_speculate else None,
            left=self._leave,
        )
        self._host.push_screen(self._screen)

    async def choose(self) -> None:
        """Shows the panels by name, to be chosen, hidden or opened."""
        name = await self._host.push_screen_wait(PanelPicker(self._column.choice, self._changed))
        if name:
            await self.show(name)

    def story(self) -> Story:
        """How the reply on the screen was made; without one, how any reply is."""
        return story(self._meter, self._loader.model, self.setting)

    def toggle_speculation(self) -> None:
        """Turns drafting on or off, from the next reply on."""
        wanted = not self._speculates
        # Nothing set means: by a draft model if one is configured, also for a model loaded later.
        speculate = None if wanted == self._has_draft_model else wanted
        self._session.settings = replace(self._session.settings, speculate=speculate)
        self._host.notify(f"Speculation is {'on' if self._speculates else 'off'} from the next reply on.", markup=False)
        self.refresh()

    def _changed(self) -> None:
        self._memory.remember("panel_choice", self._column.choice.text, "")
        self._column.redraw()

    def _leave(self, name: str) -> None:
        self._memory.remember("watch", name, "")
        self._screen = None
        self._host.call_after_refresh(self.refresh)
