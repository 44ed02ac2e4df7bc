"""The words in which a turn's end is told beside the reply, the same as `app.tui.transcript.messages` has."""

from __future__ import annotations

from app.domain.conversation import Message, ReplyState
from app.domain.generation import FinishReason
from app.domain.text import one_line

_LIMITS = {
    FinishReason.LENGTH: "length limit",
    FinishReason.CONTEXT: "context full",
}


def end_note(message: Message) -> str:
    """Returns the remark under a reply that did not end by itself; empty when it did."""
    record = message.generation
    error = one_line(record.error) if record is not None else ""
    match message.state:
        case ReplyState.STOPPED:
            return "stopped by you"
        case ReplyState.INTERRUPTED:
            return "interrupted; this is what had arrived"
        case ReplyState.FAILED:
            return error or "failed"
        case _:
            return _LIMITS.get(record.finish_reason, "") if record is not None else ""


def failed(message: Message) -> bool:
    """Tells whether a reply's end is a failure (and not the user's wish)."""
    return message.state in {ReplyState.INTERRUPTED, ReplyState.FAILED}
