"""Events of a turn: the engine's own, and what was kept of them.

A turn is, in this order: `MessageStored` (not for another reply to an older message), then the engine's events, with
`ReplyStarted` just before the `GenerationStarted` that gave birth to the reply, and `ReplyFinished` last. A request
that ends before it has started leaves no reply, and so neither of the two: `MessageReturned` is last then. If the user
stopped it, the message keeps its place: an empty reply, marked as stopped, starts and finishes.

`BranchChanged` comes before all of them where another program changed the conversation, then `PrefixRecomputed`, where
a fork is computed anew. `StoreFailed` may come anywhere, once until saving works again.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from app.domain.conversation import Message
from app.protocol.events import GenerationEvent


class MessageStored(Struct, frozen=True):
    """The user's message is safe; the request is sent next."""

    message: Message


class MessageReturned(Struct, frozen=True):
    """Nothing answered the user's message: it is out of the branch, and forgotten as soon as this was taken."""

    message: Message


class Gone(StrEnum):
    """What another program did to the conversation that is shown."""

    DELETED = "deleted"
    """It can be restored."""
    ERASED = "erased"
    """All that is left is what is shown."""


class BranchChanged(Struct, frozen=True):
    """Another program wrote to the conversation: its branch is another one now, or it is gone.

    `Session.look` reports that a conversation is gone; a turn has brought it back before it yields this.
    """

    n_added: int = 0
    """Messages that are new at the end of the branch."""
    rewritten: bool = False
    """Whether earlier messages have another text or id, as a reply that another program was writing."""
    renamed: bool = False
    gone: Gone | None = None
    """Set once, when it is noticed or, in a turn, undone."""


class PrefixRecomputed(Struct, frozen=True):
    """The kept part of a fork is by a model that is not loaded: its text is forced, and measured by the one that is."""

    model: str
    """Whose tokens they were."""


class ReplyStarted(Struct, frozen=True):
    """The reply has its place in the branch; its content is what is kept of an older one, or empty."""

    message: Message


class ReplyFinished(Struct, frozen=True):
    """The reply with its whole text, its final state and what is known of its generation."""

    message: Message


class StoreFailed(Struct, frozen=True):
    """Nothing can be saved now: the chat goes on in memory."""

    message: str
    hint: str


TurnEvent = (
    BranchChanged
    | MessageStored
    | MessageReturned
    | PrefixRecomputed
    | ReplyStarted
    | GenerationEvent
    | ReplyFinished
    | StoreFailed
)
