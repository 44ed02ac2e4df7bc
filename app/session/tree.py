"""The shape of a conversation: which message follows which, which branch leads through one of them. Pure.

A child is always younger than its parent. Messages that are only in memory have negative ids, which count down, and are
younger than all that are stored.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.domain.conversation import Message


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
