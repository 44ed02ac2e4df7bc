"""The words in which a turn's end is told beside the reply."""

from __future__ import annotations

from app.domain.conversation import Message, ReplyState
from app.domain.generation import FinishReason
from app.domain.text import one_line

_LIMITS = {
    FinishReason.LENGTH: "cut at max_tokens",
    FinishReason.CONTEXT: "the context window is full",
}


def end_note(message: Message) -> str:
    """Returns the remark under a reply that did not end by itself; empty when it did."""
    record = message.generation
    error = one_line(record.error) if record is not None else ""
    match message.state:
        case ReplyState.STOPPED:
            return "stopped"
        case ReplyState.INTERRUPTED:
            return f"interrupted: {error or 'the engine or the app ended'}"
        case ReplyState.FAILED:
            return f"failed: {error or 'no reason given'}"
        case _:
            return _LIMITS.get(record.finish_reason, "") if record is not None else ""


def failed(message: Message) -> bool:
    """Tells whether a reply's end is a failure (and not the user's wish)."""
    return message.state in {ReplyState.INTERRUPTED, ReplyState.FAILED}
