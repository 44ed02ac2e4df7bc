"""A stored message as an entry, and the line beside a reply that says how it ended."""

from __future__ import annotations

from app.domain.conversation import GenerationRecord, Message, ReplyState, Role
from app.domain.generation import FinishReason
from app.domain.text import one_line
from app.protocol.events import EngineLost, SlotsHeld
from app.tui.transcript.entry import Entry, Voice, note_block

_VOICES = {Role.USER: Voice.USER, Role.ASSISTANT: Voice.ASSISTANT, Role.SYSTEM: Voice.SYSTEM}
_FINISHED = {FinishReason.LENGTH: "length limit", FinishReason.CONTEXT: "context full"}


def entry_for(message: Message) -> Entry:
    """Returns the entry of a finished message."""
    entry = Entry(_VOICES[message.role], message.content, message.id)
    match message.state:
        case ReplyState.STOPPED:
            entry.note = note_block("stopped by you")
        case ReplyState.INTERRUPTED:
            entry.note = note_block(_interrupted(message), failed=True)
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
            return _interrupted(message)
        case ReplyState.FAILED:
            return error or "failed"
        case _:
            return _remarks(record) if record is not None else ""


def _interrupted(message: Message) -> str:
    error = one_line(message.generation.error) if message.generation is not None else ""
    why = f"interrupted: {error.rstrip('.')}" if error else "interrupted"
    return f"{why}; this is what had arrived" if message.content else f"{why}; no text had arrived"


def _remarks(record: GenerationRecord) -> str:
    remarks = [_LIMITS.get(record.finish_reason, "")]
    if record.n_dropped_messages:
        remarks.append(left_out(record.n_dropped_messages, record.n_dropped_tokens))
    if record.n_shifted_tokens:
        remarks.append(f"{record.n_shifted_tokens:,} older tokens forgotten on the way")
    if record.incomplete:
        remarks.append("incomplete: it ended inside its grammar")
    return "; ".join(filter(None, remarks))


def left_out(n_messages: int, n_tokens: int) -> str:
    """Returns what a prompt was made without."""
    which = "the oldest message" if n_messages == 1 else f"the {n_messages} oldest messages"
    return f"{which} ({n_tokens:,} tokens) left out"


def waits(event: SlotsHeld) -> str:
    """Returns why a message waits, and what to do."""
    n = len(event.held_by)
    if n == 1:
        held = "A paused reply holds the engine's only place: this one begins when it has ended."
        return f"{held} Let it run on, or stop it."
    held = f"{n} paused replies hold all of the engine's places: this one begins when one of them has ended."
    return f"{held} Let one run on, or stop it."


def loss(event: EngineLost) -> tuple[str, str]:
    """Returns that the engine is gone and why, and what to do about it."""
    what = "ended" if event.wished else "lost"
    return f"The engine was {what} ({one_line(event.reason)}).", "The next message starts it again."


def failed(message: Message) -> bool:
    """Tells whether a reply's end is a failure (and not the user's wish)."""
    return message.state in {ReplyState.INTERRUPTED, ReplyState.FAILED}
