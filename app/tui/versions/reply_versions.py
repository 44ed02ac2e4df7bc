"""The versions of a message: counts them and shows another one.

A message of the user has versions when it was edited, or when two windows sent at the same time.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.conversation import Message
from app.session.send_queue import Chat
from app.session.session import Session
from app.tui.common.host import ChatHost
from app.tui.transcript.widget import Transcript


class ReplyVersions:
    """Walks between the versions of a message; one per chat."""

    def __init__(self, chat: Chat, transcript: Transcript, host: ChatHost) -> None:
        self._chat = chat
        self._transcript = transcript
        self._host = host
        self._due: list[int] = []
        """The steps still to be taken, the current one first."""

    def count(self) -> None:
        """Labels every message on the screen that has several versions."""
        if self._transcript.is_running:  # a turn also ends because the app does
            self._host.run(self._count())

    async def _count(self) -> None:
        branch = list(self._session.branch)
        found = await self._versions(branch)
        if [message.id for message in branch] == [message.id for message in self._session.branch]:
            self._transcript.set_labels({key: label(key, versions) for key, versions in found.items()})

    def walk(self, by: int) -> None:
        """Shows the version `by` places later (earlier if negative) of a message in view, else of the last one.

        Takes the lowest message in view that has such a version, so that a step before the first version of a reply
        reaches the versions of its message. Messages and further steps wait until a walk has ended.
        """
        if self._chat.running and not self._due:
            self._host.announce("Other versions can be shown when the reply has ended.")
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
            self._host.announce("No message has other versions yet.")
            return
        targets = self._targets(list(found))
        for message_id in targets:
            versions = found[message_id]
            place = [message.id for message in versions].index(message_id) + by
            if 0 <= place < len(versions):
                await self._go_to(versions[place])
                return
        which = "last" if by > 0 else "first"
        self._host.announce(f"This is the {which} of {len(found[targets[0]])} versions.")

    async def _go_to(self, version: Message) -> None:
        followed = self._transcript.follow
        await self._session.choose(version)
        self._host.show_branch(self._session.branch)
        if not followed:
            self._transcript.go_to_message(version.id)

    def _targets(self, with_several: list[int]) -> list[int]:
        """Returns the messages whose version may change, the first choice first."""
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
