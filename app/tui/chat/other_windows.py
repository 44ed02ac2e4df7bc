"""Looks for changes by other programs, and whether a store that failed works again."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.conversation import Message, ReplyState
from app.session.events import BranchChanged, Gone
from app.session.others import SeenState
from app.session.send_queue import Chat
from app.session.session import Session
from app.tui.chat.conversations import Conversations
from app.tui.chat.models import ModelLoads
from app.tui.common.host import ChatHost
from app.tui.transcript.notes import end_note, failed
from app.tui.transcript.widget import Transcript
from app.tui.versions.reply_versions import ReplyVersions

LOOK_S = 1.0
"""Time between two looks."""

_NOTICED = {
    Gone.DELETED: "This conversation was deleted in another window. Your next message brings it back, and so does the "
    "command “Bring back what was deleted”.",
    Gone.ERASED: "This conversation was erased in another window. Only what you see is left; "
    "your next message saves it again.",
}
_BROUGHT_BACK = {
    Gone.DELETED: "The conversation was deleted in another window: your message restored it.",
    Gone.ERASED: "The conversation was erased in another window: what you see is saved again, with your message.",
}


class OtherWindows:
    """Shows messages of other windows in the transcript; one per chat."""

    def __init__(self, session: Session, transcript: Transcript, host: ChatHost) -> None:
        self._session = session
        self._transcript = transcript
        self._host = host
        self.readable = False
        """Whether the store could be read at a look so far."""
        self._looking = False
        self._growing: Message | None = None
        """The reply of another window at the end of the transcript, as far as it is shown."""

    async def look(self) -> bool:
        """Looks once, unless an earlier look has not ended; returns whether anything was found."""
        if self._looking:
            return False
        self._looking = True
        try:
            return await self._look()
        finally:
            self._looking = False

    async def _look(self) -> bool:
        session = self._session
        shown = [message.id for message in session.branch]
        found = await session.look()
        for notice in session.store.take_notices() if session.store else ():
            self._host.announce(notice, "warning")
        if found.failure:
            failure = found.failure
            self._host.announce(
                f"Not saved: {failure.message}\n{failure.hint or 'The chat continues in memory.'}", "warning"
            )
        if found.saved:
            self._host.announce("Saving works again; everything is saved.")
            if not session.busy and shown and shown != [message.id for message in session.branch]:
                self._show_again(session.branch)
        if found.change:
            self.take_up(found.change, noticed=True)
        self.readable = self.readable or session.store is None or session.saving or session.store.read_only
        return found != SeenState()

    def take_up(self, change: BranchChanged, *, noticed: bool = False) -> None:
        """Shows and announces a change. `noticed`: a deleted conversation is still deleted; no turn brought it back."""
        branch = self._session.branch
        if change.n_added and not change.rewritten:
            self._add(branch[-change.n_added :])
        elif change.rewritten and not change.n_added and self._grown(branch):
            pass
        elif change.n_added or change.rewritten or (change.gone and not noticed):
            self._growing = None
            self._show_again(branch)
        if change.n_added:
            n = change.n_added
            self._host.announce(
                "A message came from another window." if n == 1 else f"{n} messages came from another window."
            )
        if change.gone:
            self._host.announce((_NOTICED if noticed else _BROUGHT_BACK)[change.gone], "warning")

    def _add(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if message.state is ReplyState.STREAMING:
                self._transcript.begin_reply(message)
                self._growing = message
            else:
                self._transcript.add(message)

    def _grown(self, branch: Sequence[Message]) -> bool:
        """Appends to the reply of another window; returns False if the change is not more text of that reply."""
        before, now = self._growing, branch[-1]
        if before is None or now.id != before.id or not now.content.startswith(before.content):
            return False
        self._transcript.thinking = now.thinking
        self._transcript.append(now.content[len(before.content) :])
        self._growing = now
        if now.state is not ReplyState.STREAMING:
            self._transcript.finish_reply(end_note(now), failed(now))
            self._growing = None
        return True

    def _show_again(self, branch: Sequence[Message]) -> None:
        in_view = [] if self._transcript.follow else self._transcript.messages_in_view()
        self._host.show_branch(branch)
        if in_view:
            self._transcript.go_to_message(in_view[0])


class StoreWatch:
    """Looks at the store once a second, and opens the last conversation at the start if `continue_last`."""

    def __init__(
        self,
        others: OtherWindows,
        chat: Chat,
        conversations: Conversations,
        versions: ReplyVersions,
        loads: ModelLoads,
        host: ChatHost,
        *,
        continue_last: bool,
    ) -> None:
        self._others = others
        self._chat = chat
        self._conversations = conversations
        self._versions = versions
        self._loads = loads
        self._host = host
        self._continue_last = continue_last
        self._opened = self._continues = False

    async def begin(self) -> None:
        """Looks for the first time, and loads the first model or that of the last conversation."""
        if not self._continue_last:
            self._loads.first()
        await self.look()
        if not self._continues:
            self._loads.first()

    async def look(self) -> None:
        """Shows what other programs changed, and sends what waited for a reply in another window."""
        found = await self._others.look()
        if self._others.readable and not self._opened:
            self._opened = True
            self._host.run(self._conversations.library.sweep())
            if self._continue_last and not self._chat.session.branch:
                self._continues = True
                self._host.run(self._open_last())
        if found:
            self._conversations.library.forget_gone()
            self._host.refresh_state()
            self._versions.count()
        if self._chat.waiting:
            self._chat.advance()

    async def _open_last(self) -> None:
        try:
            await self._conversations.open_last()
        finally:
            self._loads.first()
