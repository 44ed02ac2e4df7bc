"""Which entry a stored message becomes: who speaks, and the line that says how a reply ended."""

from __future__ import annotations

from app.domain.conversation import Message, ReplyState, Role
from app.domain.generation import FinishReason
from app.domain.text import one_line
from app.tui.transcript.entry import Entry, note_block
from app.tui.transcript.look import Voice

_VOICES = {Role.USER: Voice.USER, Role.ASSISTANT: Voice.ASSISTANT, Role.SYSTEM: Voice.SYSTEM}
_FINISHED = {FinishReason.LENGTH: "length limit", FinishReason.CONTEXT: "context full"}


def entry_for(message: Message) -> Entry:
    """Returns the entry of a finished message."""
    entry = Entry(_VOICES[message.role], message.content, message.id)
    match message.state:
        case ReplyState.STOPPED:
            entry.note = note_block("stopped by you")
        case ReplyState.INTERRUPTED:
            entry.note = note_block("interrupted; this is what had arrived", failed=True)
        case ReplyState.FAILED:
            error = message.generation.error if message.generation is not None else ""
            entry.note = note_block(one_line(error) or "failed", failed=True)
        case ReplyState.STREAMING:
            entry.note = note_block("being written in another window")
        case ReplyState.DONE:
            reason = message.generation.finish_reason if message.generation is not None else None
            if reason is not None and reason in _FINISHED:
                entry.note = note_block(_FINISHED[reason])
    return entry
