"""The commands that look into a reply: the inspector, at one of its sections, and the recording of sampler stages."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Coroutine

from textual.notifications import SeverityLevel

from app.domain.conversation import ChatSettings, Role
from app.session.session import Session
from app.tui.common.safe import Dialog, Result
from app.tui.inspector.find import token_after
from app.tui.inspector.screen import InspectorScreen
from app.tui.inspector.view import Section
from app.tui.transcript.widget import Transcript
from app.tui.versions.fork import ForkWanted


class InspectCommands:
    """The actions of inspecting, mixed into the chat's screen, which sets what they work with."""

    transcript: Transcript
    _session: Session
    read_only = ""
    """Why nothing can be changed here; empty where it can."""

    @abstractmethod
    async def _ask(self, dialog: Dialog[Result]) -> Result | None: ...

    @abstractmethod
    def _open(self, work: Coroutine[object, object, None]) -> None: ...

    @abstractmethod
    def announce(self, text: str, severity: SeverityLevel = "information") -> None:
        """Shows a passing notice."""

    @abstractmethod
    def fork(self, wanted: ForkWanted) -> None:
        """Goes on from a token of a reply."""

    def action_inspect(self, section: str = "TOKEN") -> None:
        """Shows the tokens of the reply that was clicked, or else of the last one."""
        self._open(self._inspect(Section[section], self.transcript.chosen_reply))

    def on_transcript_text_clicked(self, event: Transcript.TextClicked) -> None:
        """Shows the token that was clicked, where the reply has a trace of it."""
        self._open(self._inspect_clicked(event.message_id, event.n_bytes))

    def action_record_stages(self) -> None:
        """Has the sampler tell what each stage does, or no more."""
        on_now = self._session.trace_stages = not self._session.trace_stages
        self.announce(
            "The sampler's stages are recorded from the next reply on; each token takes a little longer."
            if on_now
            else "The sampler's stages are no longer recorded."
        )

    async def _inspect_clicked(self, message_id: int, n_bytes: int) -> None:
        trace = await self._session.load_trace(message_id)
        token = token_after(trace, n_bytes) if trace is not None else None
        if token is not None:
            await self._inspect(Section.TOKEN, message_id, token)

    async def _inspect(self, section: Section, message_id: int | None, token: int | None = None) -> None:
        if not any(message.role is Role.ASSISTANT for message in self._session.branch):
            self.announce("There is no reply to inspect yet.")
            return
        session = self._session
        settings = session.settings or ChatSettings(model=session.model_name, preset=session.preset)
        screen = InspectorScreen(session, message_id, section, self.read_only, token, settings)
        if (wanted := await self._ask(screen)) is not None:
            self.fork(wanted)
