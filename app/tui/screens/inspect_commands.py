"""The commands that look into a reply: the inspector, at one of its sections, and the recording of sampler stages."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Coroutine

from textual.notifications import SeverityLevel

from app.domain.conversation import Role
from app.session.session import Session
from app.tui.inspect.fork import ForkWanted
from app.tui.inspect.hints import Section
from app.tui.screens.inspector import InspectorScreen
from app.tui.screens.safe import Dialog, Result
from app.tui.widgets.transcript import Transcript


class InspectCommands:
    """The actions of inspecting, mixed into the chat's screen, which sets what they work with."""

    transcript: Transcript
    _session: Session
    read_only = ""
    """Why nothing can be changed here; empty where it can."""

    @abstractmethod
    async def _ask(self, dialog: Dialog[Result]) -> Result | None: ...

    @abstractmethod
    def _do(self, work: Coroutine[object, object, None]) -> None: ...

    @abstractmethod
    def tell(self, text: str, severity: SeverityLevel = "information") -> None:
        """Shows a passing notice."""

    @abstractmethod
    def fork(self, wanted: ForkWanted) -> None:
        """Goes on from a token of a reply."""

    def action_inspect(self, section: str = "TOKEN") -> None:
        """Shows the tokens of the reply that was clicked, or else of the last one."""
        self._do(self._inspect(Section[section]))

    def action_record_stages(self) -> None:
        """Has the sampler tell what each stage does, or no more."""
        on_now = self._session.trace_stages = not self._session.trace_stages
        self.tell(
            "The sampler's stages are recorded from the next reply on; each token takes a little longer."
            if on_now
            else "The sampler's stages are not recorded any more."
        )

    async def _inspect(self, section: Section) -> None:
        if not any(message.role is Role.ASSISTANT for message in self._session.branch):
            self.tell("There is no reply to inspect yet.")
            return
        screen = InspectorScreen(self._session, self.transcript.chosen_reply, section, self.read_only)
        if (wanted := await self._ask(screen)) is not None:
            self.fork(wanted)
