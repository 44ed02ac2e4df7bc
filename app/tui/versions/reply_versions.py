"""The versions of a message: tells how many there are, and shows another one in its place.

Two windows that send at the same time make two versions of a user message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from app.domain.conversation import Message
from app.session.send_queue import Chat
from app.session.session import Session
from app.tui.transcript.widget import Transcript


class ReplyVersions:
    """Walks between the answers to one message. A message with one version has no label and is passed over."""

    def __init__(
        self,
        chat: Chat,
        transcript: Transcript,
        *,
        show: Callable[[Sequence[Message]], None],
        announce: Callable[[str], None],
    ) -> None:
        """`show` puts a branch on the screen."""
        self._chat = chat
        self._transcript = transcript
        self._show = show
        self._announce = announce
        self._due: list[int] = []
        """The steps that are still to be taken, the one that is being taken first."""

    async def refresh(self) -> None:
        """Labels every message on the screen that has several versions."""
        branch = list(self._session.branch)
        found = await self._versions(branch)
        if [message.id for message in branch] == [message.id for message in self._session.branch]:
            self._transcript.set_labels({key: label(key, versions) for key, versions in found.items()})

    def walk(self, by: int) -> None:
        """Shows the version `by` places later (earlier, if negative) of a message in view, else of the last one.

        Of several in view it is the lowest one that has a version there: going on past the first version of a reply
        leads to the versions of the message that it answers. A walk keeps the session busy: what is sent meanwhile
        waits, and further steps are taken after it.
        """
        if self._chat.running and not self._due:
            self._announce("Other versions can be shown when the reply has ended.")
            return
        self._due.append(by)
        if len(self._due) == 1:
            self._chat.run(self._walk())

    async def _walk(self) -> None:
        try:
            while self._due:
                await self._step(self._due[0])
                del self._due[0]
        finally:
            self._due.clear()

    async def _step(self, by: int) -> None:
        found = await self._versions(self._session.branch)
        if not found:
            self._announce("No message has other versions yet.")
            return
        targets = self._targets(list(found))
        for message_id in targets:
            versions = found[message_id]
            place = [message.id for message in versions].index(message_id) + by
            if 0 <= place < len(versions):
                await self._go_to(versions[place])
                return
        which = "last" if by > 0 else "first"
        self._announce(f"This is the {which} of {len(found[targets[0]])} versions.")

    async def _go_to(self, version: Message) -> None:
        followed = self._transcript.follow
        await self._session.choose(version)
        self._show(self._session.branch)
        if not followed:
            self._transcript.go_to_message(version.id)

    def _targets(self, with_several: list[int]) -> list[int]:
        """Those that a step may be taken of, the first choice first."""
        seen = [each for each in self._transcript.messages_in_view() if each in with_several]
        if self._transcript.follow and with_several[-1] not in seen:
            seen.append(with_several[-1])
        return seen[::-1] or with_several[-1:]

    async def _versions(self, branch: Sequence[Message]) -> dict[int, list[Message]]:
        found = await self._session.versions(branch)
        return {message_id: versions for message_id, versions in found.items() if len(versions) > 1}

    @property
    def _session(self) -> Session:
        return self._chat.session


def label(message_id: int, versions: Sequence[Message]) -> str:
    """Returns which of its versions a message is, as in `‹ 2/3 ›`."""
    place = [message.id for message in versions].index(message_id) + 1
    return f"‹ {place}/{len(versions)} ›"
