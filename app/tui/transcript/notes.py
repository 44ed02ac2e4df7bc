"""A stored message as an entry, and the line beside a reply that says how it ended."""

from __future__ import annotations

from collections.abc import Iterator

from app.analysis.finish import STOPPED, finish_word, losses
from app.domain.conversation import GenerationRecord, Message, ReplyState, Role
from app.domain.generation import FinishReason
from app.domain.text import one_line
from app.protocol.events import EngineLost, SlotsHeld
from app.tui.transcript.entry import Entry, Voice, note_block

_VOICES = {Role.USER: Voice.USER, Role.ASSISTANT: Voice.ASSISTANT, Role.SYSTEM: Voice.SYSTEM}


def entry_for(message: Message) -> Entry:
    """Returns the entry of a stored message, with the note that its reply had when it ended."""
    entry = Entry(_VOICES[message.role], message.content, message.id, message.thinking)
    if note := end_note(message):
        entry.note = note_block(note, failed=failed(message))
    return entry


def end_note(message: Message) -> str:
    """Returns the remark under a reply: why it ended early and what its prompt lacked; empty where neither is so."""
    record = message.generation
    return "; ".join(filter(None, [_why_ended(message), *(_losses(record) if record is not None else ())]))


def _why_ended(message: Message) -> str:
    record = message.generation
    match message.state:
        case ReplyState.STOPPED:
            return STOPPED
        case ReplyState.INTERRUPTED:
            return _interrupted(message)
        case ReplyState.FAILED:
            return one_line(record.error if record is not None else "") or "failed"
        case ReplyState.STREAMING:
            return "being written in another window"
        case ReplyState.DONE:
            if record is None or record.finish_reason is FinishReason.STOP:
                return ""
            return finish_word(record.finish_reason, record.stop)


def _interrupted(message: Message) -> str:
    error = one_line(message.generation.error) if message.generation is not None else ""
    why = f"interrupted: {error.rstrip('.')}" if error else "interrupted"
    return f"{why}; this is what had arrived" if message.content else f"{why}; no text had arrived"


def _losses(record: GenerationRecord) -> Iterator[str]:
    yield from losses(record.n_dropped_messages, record.n_dropped_tokens, record.n_shifted_tokens)
    if record.incomplete:
        yield "incomplete: it ended inside its grammar"


def waits(event: SlotsHeld) -> str:
    """Returns why a message waits, and what to do."""
    n = len(event.held_by)
    if n == 1:
        return "Waiting: a paused reply uses the only slot. Resume or stop it."
    return f"Waiting: {n} paused replies use all slots. Resume or stop one."


def loss(event: EngineLost) -> tuple[str, str]:
    """Returns that the engine is gone and why, and what to do about it."""
    what = "ended" if event.wished else "lost"
    return f"The engine was {what} ({one_line(event.reason)}).", "The next message starts it again."


def failed(message: Message) -> bool:
    """Returns whether a reply ended by a failure, not by a limit or the user."""
    return message.state in {ReplyState.INTERRUPTED, ReplyState.FAILED}
