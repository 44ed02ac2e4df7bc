"""The commands that steer a reply: step, versions, several at once, rewrite; and forks, asked for by the inspector."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Coroutine, Sequence

from textual.notifications import SeverityLevel

from app.domain.conversation import Message
from app.session.send_queue import Chat
from app.session.session import Session
from app.tui.branches.controller import Branching
from app.tui.common.frame_rate import Pump
from app.tui.common.safe import Dialog, Result, SafeScreen
from app.tui.common.services import Services
from app.tui.step.control import StepControl
from app.tui.step.dock import StepDock
from app.tui.transcript.widget import Transcript
from app.tui.versions.fork import Forking, ForkWanted
from app.tui.versions.reply_versions import ReplyVersions
from app.tui.widgets.composer import Composer


class SteerCommands(SafeScreen):
    """The actions of `app.tui.common.commands`; `ChatScreen` sets what they work with."""

    chat: Chat
    composer: Composer
    transcript: Transcript
    pump: Pump
    step: StepControl
    step_dock: StepDock
    _session: Session
    _services: Services

    def make_controllers(self) -> None:
        """Makes what the commands work with; the chat is there."""
        self.versions = ReplyVersions(self.chat, self.transcript, show=self._show, announce=self.announce)
        self._before_step: Composer | Transcript = self.composer
        self.forking = Forking(self.chat, self.composer, self.transcript, ask=self._ask, announce=self.announce)
        self.branching = Branching(
            self.chat,
            self.composer,
            self._services.presets,
            ask=self._ask,
            show=self._show,
            announce=self.announce,
            look=lambda: (self.pump.shortest_s, self.transcript.code_style, self._services.engine.model),
        )

    @abstractmethod
    def _show(self, branch: Sequence[Message]) -> None: ...

    @abstractmethod
    async def _ask(self, dialog: Dialog[Result]) -> Result | None: ...

    @abstractmethod
    def place_notices(self) -> None:
        """Moves the notices out of the way."""

    @abstractmethod
    def refresh_state(self) -> None:
        """Shows what has changed."""

    @abstractmethod
    def refresh_panels(self) -> None:
        """Shows the meter's figures."""

    @abstractmethod
    def announce(self, text: str, severity: SeverityLevel = "information") -> None:
        """Shows a passing notice."""

    @abstractmethod
    def _do(self, work: Coroutine[object, object, None]) -> None: ...

    @abstractmethod
    def _open(self, work: Coroutine[object, object, None]) -> None: ...

    def action_step(self) -> None:
        """Holds the reply, lets it run on, or lets the next one start held."""
        if notice := self.step.toggle():
            self.announce(notice)

    def action_sibling(self, by: int) -> None:
        """Shows an earlier or later version of a reply."""
        self.versions.walk(by)

    def action_rewrite(self) -> None:
        """Goes on from a beginning that the user writes."""
        self._open(self.forking.rewrite())

    def action_branches(self) -> None:
        """Replies several times at once."""
        self._open(self.branching.start())

    def fork(self, wanted: ForkWanted) -> None:
        """Goes on from a token of a reply."""
        self._do(self.forking.fork(wanted))

    def _step_changed(self) -> None:
        # The keys go to the candidates while the reply is held, and back to where they were after.
        if self.step_dock.update():
            shown = self.step.state.shown
            if shown:
                self._before_step = self.transcript if self.focused is self.transcript else self.composer
            self.composer.display = not shown
            (self.step_dock.panel if shown else self._before_step).focus()
            self.call_after_refresh(self.place_notices)
        self.refresh_state()
        if self.step.state.paused:
            self.refresh_panels()

    def _turn_over(self) -> None:
        self.step.ended()
        self._count_versions()

    def _count_versions(self) -> None:
        if self.is_running:  # a turn also ends because the app does
            self._do(self.versions.refresh())

    async def _force(self, text: str) -> None:
        if problem := await self.step.force(text):
            self.announce(f"The text could not be put in: {problem}")
