"""Looks at the store: what other programs did to the conversation, and whether a store that failed works again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from app.domain.conversation import Message, ReplyState
from app.session.events import BranchChanged, Gone
from app.session.others import SeenState
from app.session.session import Session
from app.tui.transcript.notes import end_note, failed
from app.tui.transcript.widget import Transcript

LOOK_S = 1.0
"""Time between two looks."""

_NOTICED = {
    Gone.DELETED: "This conversation was deleted in another window. Your next message brings it back, and so does the "
    "command “Bring back what was deleted”.",
    Gone.ERASED: "This conversation was erased in another window. What you see is all that is left of it; "
    "your next message saves it again.",
}
_BROUGHT_BACK = {
    Gone.DELETED: "The conversation was deleted in another window: your message brought it back.",
    Gone.ERASED: "The conversation was erased in another window: what you see is saved again, with your message.",
}


class OtherWindows:
    """One per chat. Shows new messages where they belong, without touching what is being typed."""

    def __init__(
        self,
        session: Session,
        transcript: Transcript,
        *,
        show: Callable[[Sequence[Message]], None],
        announce: Callable[[str], None],
        warn: Callable[[str], None],
        opened: Callable[[], None],
        seen: Callable[[], None],
    ) -> None:
        """Takes what it needs as functions.

        Args:
            session: what is looked at.
            transcript: gets messages at its end.
            show: puts a branch on the screen in place of what is there.
            tell: shows a notice.
            warn: shows a notice of something that went wrong.
            opened: called once, when the store can be read.
            seen: called after every look that found something.
        """
        self._session = session
        self._transcript = transcript
        self._show = show
        self._announce = announce
        self._warn = warn
        self._opened: Callable[[], None] | None = opened
        self._seen = seen
        self._looking = False
        self._growing: Message | None = None
        """The reply of another window at the end of the transcript, as far as it is shown."""

    async def look(self) -> None:
        """Looks once; does nothing while an earlier look has not ended."""
        if self._looking:
            return
        self._looking = True
        try:
            await self._look()
        finally:
            self._looking = False

    async def _look(self) -> None:
        session = self._session
        shown = [message.id for message in session.branch]
        found = await session.look()
        if session.store and session.store.notices:
            for notice in session.store.notices:
                self._warn(notice)
            session.store.notices = ()
        if found.failure:
            failure = found.failure
            self._warn(f"Not saved: {failure.message}\n{failure.hint or 'The chat goes on in memory.'}")
        if found.saved:
            self._announce("Saving works again, and everything is saved.")
            if not session.busy and shown and shown != [message.id for message in session.branch]:
                self._show_again(session.branch)
        if found.change:
            self.take_up(found.change, noticed=True)
        readable = session.store is None or session.saving or session.store.read_only
        if readable and self._opened:
            opened, self._opened = self._opened, None
            opened()
        if found != SeenState():
            self._seen()

    def take_up(self, change: BranchChanged, *, noticed: bool = False) -> None:
        """Shows what changed, and says it. `noticed`: what is gone is gone still, and no turn has brought it back."""
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
            self._announce(
                "A message came from another window." if n == 1 else f"{n} messages came from another window."
            )
        if change.gone:
            self._warn((_NOTICED if noticed else _BROUGHT_BACK)[change.gone])

    def _add(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if message.state is ReplyState.STREAMING:
                self._transcript.begin_reply(message)
                self._growing = message
            else:
                self._transcript.add(message)

    def _grown(self, branch: Sequence[Message]) -> bool:
        """Lets the reply of another window grow where it is; False where that is not what happened."""
        before, now = self._growing, branch[-1]
        if before is None or now.id != before.id or not now.content.startswith(before.content):
            return False
        self._transcript.append(now.content[len(before.content) :])
        self._growing = now
        if now.state is not ReplyState.STREAMING:
            self._transcript.finish_reply(end_note(now), failed(now))
            self._growing = None
        return True

    def _show_again(self, branch: Sequence[Message]) -> None:
        in_view = [] if self._transcript.follow else self._transcript.messages_in_view()
        self._show(branch)
        if in_view:
            self._transcript.go_to_message(in_view[0])
