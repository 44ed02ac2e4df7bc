"""The commands that read the conversation: inspect a reply, record sampler stages, copy."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace
from textual.app import App

from app.domain.conversation import Role, as_markdown
from app.session.session import Session
from app.tui.common.host import ChatHost
from app.tui.inspector.find import token_after
from app.tui.inspector.screen import InspectorScreen
from app.tui.inspector.view import Section
from app.tui.terminal.clipboard import say_who_took
from app.tui.transcript.widget import Transcript
from app.tui.versions.fork import Forking


class Reading:
    """One per chat."""

    def __init__(
        self, app: App[int], session: Session, transcript: Transcript, forking: Forking, host: ChatHost
    ) -> None:
        """`forking` continues a reply at a token that was chosen in the inspector."""
        self._app = app
        self._session = session
        self._transcript = transcript
        self._forking = forking
        self._host = host

    @property
    def commands(self) -> dict[str, Callable[[], None]]:
        """What runs the commands on the text of the conversation, by their ids."""
        return {
            "thinking": self.toggle_thinking,
            "copy_reply": self.copy_reply,
            "copy_code": self.copy_code,
            "copy_conversation": self.copy_conversation,
        }

    async def inspect(self, section: Section) -> None:
        """Shows the tokens of the reply that was clicked, else of the last one."""
        await self._inspect(section, self._transcript.chosen_reply)

    async def inspect_clicked(self, message_id: int, n_bytes: int) -> None:
        """Shows the token at a byte of a reply, if the reply has a trace."""
        trace = await self._session.load_trace(message_id)
        token = token_after(trace, n_bytes) if trace is not None else None
        if token is not None:
            await self._inspect(Section.TOKEN, message_id, token)

    async def _inspect(self, section: Section, message_id: int | None, token: int | None = None) -> None:
        session = self._session
        if not any(message.role is Role.ASSISTANT for message in session.branch):
            self._host.announce("There is no reply to inspect yet.")
            return
        kept, offers = session.settings.kept, self._host.keymap.offers
        can_fork, can_record = offers("rewrite"), offers("record_stages")
        wanted = await self._host.ask(
            InspectorScreen(session, message_id, section, token, kept, can_fork=can_fork, can_record=can_record)
        )
        if wanted is not None:
            self._host.run(self._forking.fork(wanted))

    def record_stages(self) -> None:
        """Turns the recording of sampler stages on or off."""
        on_now = not self._session.settings.trace_stages
        self._session.settings = replace(self._session.settings, trace_stages=on_now)
        self._host.announce(
            "Sampler stages: recorded from the next reply on. Each token takes a little longer."
            if on_now
            else "Sampler stages: no longer recorded."
        )

    def toggle_thinking(self) -> None:
        """Opens or closes the thinking of a reply."""
        if not self._transcript.toggle_thinking():
            self._host.announce("No reply here has any thinking.")

    def copy_reply(self) -> None:
        """Copies the answer of the last reply."""
        self.copy(self._transcript.last_reply(), "last reply")

    def copy_code(self) -> None:
        """Copies the last code block."""
        self.copy(self._transcript.last_code_block(), "last code block")

    def copy_conversation(self) -> None:
        """Copies the conversation as Markdown."""
        conversation = self._session.conversation
        self.copy(as_markdown(conversation.title, self._session.branch) if conversation else "", "conversation")

    def copy(self, text: str | None, what: str) -> None:
        """Copies a text and announces where it went; `what` names it in the notice."""
        if text:
            self._app.copy_to_clipboard(text)
            self._host.run(say_who_took(text, what, self._host.announce))
        else:
            self._host.announce(f"There is no {what} to copy.")
