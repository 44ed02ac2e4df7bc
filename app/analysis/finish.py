"""The end of a reply, and what it went without, in words. Pure."""

from __future__ import annotations

from app.domain import units
from app.domain.generation import FinishReason, Stop
from app.domain.text import one_line
from app.protocol.events import GenerationFinished

STOPPED = "stopped by you"
_WORDS = {
    FinishReason.STOP: "end of turn",
    FinishReason.LENGTH: "length limit",
    FinishReason.CONTEXT: "context full",
    FinishReason.ABORT: "stopped",
    FinishReason.ERROR: "failed",
}


def finish_word(reason: FinishReason, stop: Stop | None) -> str:
    """Returns why a reply ended, as short as can be."""
    return "stop string" if stop is not None and stop.kind == "string" else _WORDS[reason]


def finish_line(event: GenerationFinished) -> str:
    """Returns why a reply ended, with details, safe to show."""
    word = finish_word(event.finish_reason, event.stop)
    match event.finish_reason:
        case FinishReason.STOP if event.stop is not None:
            text = f'"{event.stop.text}"' if event.stop.kind == "string" else event.stop.text
            line = f"stopped: {word} {text}"
        case FinishReason.STOP:
            line = f"stopped: {word}"
        case FinishReason.LENGTH:
            n = event.usage.n_generated
            line = f"{word} ({units.tokens(n)})" if n else word
        case FinishReason.ABORT:
            line = STOPPED
        case FinishReason.ERROR:
            line = f"{word}: {event.error or 'unknown error'}"
        case FinishReason.CONTEXT:
            line = word
    return one_line(line)


def left_out(n_messages: int, n_tokens: int) -> str:
    """Returns what a prompt was made without."""
    which = "the oldest message" if n_messages == 1 else f"the {n_messages} oldest messages"
    return f"{which} ({n_tokens:,} tokens) left out"


def losses(n_messages: int, n_tokens: int, n_shifted: int) -> list[str]:
    """Returns what a reply went without: messages left out of its prompt, tokens dropped during the reply."""
    lost = [left_out(n_messages, n_tokens)] if n_messages else []
    return [*lost, f"{n_shifted:,} older tokens dropped while it was written"] if n_shifted else lost
