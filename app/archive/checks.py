"""What a conversation from a file must be before it may be stored."""

from __future__ import annotations

from msgspec.structs import astuple

from app.domain.archive import ArchivedConversation
from app.domain.conversation import Role
from app.domain.errors import TokscopeError
from app.domain.generation import Thinking

MAX_MS = 253_402_300_799_999
"""The end of the year 9999."""
_MAX_INTEGER = 2**63 - 1


class NotUnderstoodError(TokscopeError):
    """A file is not what an import can read."""


def check_tree(conversation: ArchivedConversation) -> None:
    """Raises NotUnderstoodError unless parents, tip, times and figures can be stored."""
    _check_ms(conversation.created_ms, conversation.updated_ms)
    n_messages = len(conversation.messages)
    if conversation.tip is not None and not 1 <= conversation.tip <= n_messages:
        raise NotUnderstoodError(f"the tip is {conversation.tip} of {n_messages} messages")
    for number, each in enumerate(conversation.messages, 1):
        message, record = each.message, each.message.generation
        _check_ms(message.created_ms)
        if message.parent_id is not None and not 1 <= message.parent_id < number:
            raise NotUnderstoodError(f"message {number} has the parent {message.parent_id}, which is not before it")
        if (record or each.trace) and message.role is not Role.ASSISTANT:
            raise NotUnderstoodError(f"message {number} is no reply, but has a generation or a trace")
        if thinking := message.thinking:
            _check_thinking(number, thinking, len(message.content))
        figures = [each.trace.format, each.trace.n_tokens] if each.trace else []
        if record:
            figures += [record.seed, record.n_dropped_messages, record.n_dropped_tokens, record.n_shifted_tokens]
            figures += [*astuple(record.usage), (record.stop and record.stop.token_id) or 0]
        if any(abs(figure) > _MAX_INTEGER for figure in figures):
            raise NotUnderstoodError(f"message {number} has a number that is too large")


def _check_ms(*times: int) -> None:
    for ms in times:
        if not 0 <= ms <= MAX_MS:
            raise NotUnderstoodError(f"{ms} is not a time in milliseconds")


def _check_thinking(number: int, thinking: Thinking, n_characters: int) -> None:
    if not 0 <= thinking.start <= thinking.end <= thinking.answer <= n_characters:
        raise NotUnderstoodError(f"the thinking of message {number} is not inside its content")
