"""The tree of messages: the branch through a message, a request made from it, and a conversation's title."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from app.domain.conversation import Message, Role, UserMessage
from app.domain.sampling import Preset
from app.domain.text import one_line
from app.protocol.commands import ChatMessage


def sendable(message: UserMessage) -> UserMessage:
    """Returns what is stored and sent of a message: halves of surrogate pairs become question marks."""
    return replace(message, text=message.text.encode("utf-8", "replace").decode("utf-8"))


def prompt_messages(
    preset: Preset, branch: Sequence[Message], following: UserMessage | None = None
) -> tuple[ChatMessage, ...]:
    """Returns the preset's system prompt, the branch and the user's next message.

    Partial replies are sent, replies without text are not: the user's messages around one are sent as one turn, since
    many chat templates refuse two in a row.
    """
    sent = [ChatMessage(Role.SYSTEM, preset.system)] if preset.system else []
    said = [
        ChatMessage(m.role, m.content, m.attachments, m.thinking.answer if m.thinking else 0)
        for m in branch
        if m.content or m.role is not Role.ASSISTANT
    ]
    if following is not None:
        said.append(ChatMessage(Role.USER, sendable(following).text, following.attachments))
    for message in said:
        if sent and sent[-1].role is message.role is Role.USER:
            before = sent.pop()
            message = ChatMessage(
                Role.USER, f"{before.content}\n\n{message.content}", before.attachments + message.attachments
            )
        sent.append(message)
    return tuple(sent)


def oldest_first(messages: Iterable[Message]) -> list[Message]:
    """In the order in which they were made."""
    return sorted(messages, key=_age)


def branch_through(messages: Iterable[Message], message_id: int) -> list[Message]:
    """The branch through a message to the newest leaf below it, root first; empty where there is no such message."""
    by_id = {message.id: message for message in messages}
    if message_id not in by_id:
        return []
    below = {message_id}
    for message in oldest_first(by_id.values()):
        if message.parent_id in below:
            below.add(message.id)
    branch = [max((by_id[each] for each in below), key=_age)]
    while (parent_id := branch[-1].parent_id) is not None:
        branch.append(by_id[parent_id])
    return branch[::-1]


def _age(message: Message) -> tuple[bool, int]:
    return message.id < 0, abs(message.id)


TITLE_LIMIT = 60


def title_of(text: str) -> str:
    """The title of a conversation that begins with `text`: its first line that says something, made safe."""
    lines = (one_line(line, TITLE_LIMIT) for line in text.splitlines())
    return next(filter(None, lines), "New conversation")
